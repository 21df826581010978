"""Real images and masks, put back into the layouts they were published in."""

import csv
from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from mcdrl_mmseg.datasets.converters.engine import convert
from mcdrl_mmseg.datasets.converters.index import read_index
from mcdrl_mmseg.datasets.converters.sources.endotect import ENDOTECT
from mcdrl_mmseg.datasets.converters.sources.polypgen import POLYPGEN
from mcdrl_mmseg.datasets.converters.sources.vocal_folds import VOCAL_FOLDS

A_SITE = 8


@pytest.fixture
def rows_of(data_root):
    with (data_root / 'manifest.csv').open(newline='') as file:
        rows = defaultdict(list)
        for row in csv.DictReader(file):
            rows[row['site']].append(row)
    return {s: some[:: max(1, len(some) // A_SITE)] for s, some in rows.items()}


def place(source: Path, target: Path, mask_as=None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if mask_as is None:
        target.write_bytes(source.read_bytes())
        return
    with Image.open(source) as mask:
        mask_as(mask.convert('L')).save(target, quality=95)


def check(rows, data_root, out):
    found = {PurePosixPath(r['source_image']).name: r for r in read_index(out)}
    assert len(found) == len(rows)
    for row in rows:
        name = PurePosixPath(row['source_image']).name
        written = found[name]
        with (
            Image.open(data_root / row['mask']) as expected,
            Image.open(out.parent / written['mask']) as mask,
        ):
            assert np.array_equal(np.asarray(mask), np.asarray(expected.convert('L')))
        assert float(written['foreground']) == pytest.approx(
            float(row['foreground']), abs=6e-6
        )


def test_polypgen_centres(rows_of, data_root, download, out):
    rows = []
    for centre in range(1, 5):
        base = download / f'PolypGen2021_MultiCenterData_v3/data_C{centre}'
        for row in rows_of[f'polypgen_c{centre}']:
            image = PurePosixPath(row['source_image']).name
            mask = PurePosixPath(row['source_mask']).name
            place(data_root / row['image'], base / f'images_C{centre}' / image)
            place(
                data_root / row['mask'],
                base / f'masks_C{centre}' / mask,
                mask_as=lambda m, rgb=centre < 3: m.convert('RGB') if rgb else m,
            )
            rows.append(row)
    outcomes = convert(POLYPGEN, [download], out)
    assert {outcome.state for outcome in outcomes} == {'written'}
    check(rows, data_root, out / 'index.csv')


def test_endotect(rows_of, data_root, download, out):
    for row in rows_of['endotect_kvasir']:
        name = PurePosixPath(row['source_image']).stem
        place(data_root / row['image'], download / f'images/{name}.jpg')
        place(data_root / row['mask'], download / f'masks/{name}.jpg', lambda m: m)
    convert(ENDOTECT, [download], out)
    check(rows_of['endotect_kvasir'], data_root, out / 'index.csv')


def test_vocal_folds(rows_of, data_root, download, out):
    def label_map(mask):
        return mask.point(lambda value: 4 if value > 127 else 2)

    for row in rows_of['vocalfolds_larynx']:
        image = download / row['source_image']
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.open(data_root / row['image']).save(image)
        place(data_root / row['mask'], download / row['source_mask'], label_map)
    convert(VOCAL_FOLDS, [download], out)
    check(rows_of['vocalfolds_larynx'], data_root, out / 'index.csv')
    assert {r['patient'] for r in read_index(out / 'index.csv')} == {'patient1'}
