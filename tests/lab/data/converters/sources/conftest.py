import csv
from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from mcdrl_lab.data.converters.pair_and_write import Options, pair_and_write
from mcdrl_lab.data.site_index import read_index

# Number of real images used of each site.
A_SITE = 8


@pytest.fixture
def converted(download, out):
    """Function that converts the download and returns index rows by source image."""

    def run(source, **options):
        outcomes = pair_and_write(source, [download], out, Options(**options))
        assert {outcome.state for outcome in outcomes} == {'written'}
        return {row['source_image']: row for row in read_index(out / 'index.csv')}

    return run


@pytest.fixture
def real_rows(data_root):
    with (data_root / 'manifest.csv').open(newline='') as file:
        rows = defaultdict(list)
        for row in csv.DictReader(file):
            rows[row['site']].append(row)
    return {s: some[:: max(1, len(some) // A_SITE)] for s, some in rows.items()}


@pytest.fixture
def place(data_root):
    """Function that puts a real image or mask where it would be published."""

    def put(name: str, target: Path, mask_as=None) -> None:
        source = data_root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if mask_as is None:
            target.write_bytes(source.read_bytes())
            return
        with Image.open(source) as mask:
            mask_as(mask.convert('L')).save(target, quality=95)

    return put


@pytest.fixture
def check_real(data_root, out):
    """Function that compares converted masks with the real ones."""

    def check(rows) -> None:
        index = read_index(out / 'index.csv')
        found = {PurePosixPath(row['source_image']).name: row for row in index}
        assert len(found) == len(rows)
        for row in rows:
            written = found[PurePosixPath(row['source_image']).name]
            with (
                Image.open(data_root / row['mask']) as real,
                Image.open(out / written['mask']) as mask,
            ):
                assert np.array_equal(np.asarray(mask), np.asarray(real.convert('L')))
            share = float(written['foreground'])
            assert share == pytest.approx(float(row['foreground']), abs=6e-6)

    return check
