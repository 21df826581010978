"""Conditions drawn on real images, correlated with lesions at training sites only."""

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mcdrl_common.image_index import ImageIndex
from mcdrl_lab.commands import main
from mcdrl_lab.errors import ConversionError
from mcdrl_lab.simulation.drawn_sites import DrawnSites, write_drawn_sites

IMAGES = 40
SIZE = 32


@pytest.fixture(scope='module')
def source(tmp_path_factory) -> Path:
    """Two sites of 40 wide images: 10 healthy, 10 of each lesion size of 3."""
    root = tmp_path_factory.mktemp('sites')
    generator = np.random.default_rng(0)
    for site in ('a', 'b'):
        for name in ('images', 'masks'):
            (root / site / name).mkdir(parents=True)
        for n in range(IMAGES):
            image = generator.integers(60, 200, (48, 64, 3), dtype=np.uint8)
            mask = np.zeros((48, 64), np.uint8)
            mask[: 12 * (n % 4), :32] = 255
            cv2.imwrite(str(root / site / 'images' / f'{n:02}.jpg'), image)
            cv2.imwrite(str(root / site / 'masks' / f'{n:02}.png'), mask)
    return root


def write(source: Path, out: Path, **values) -> list[dict]:
    write_drawn_sites(DrawnSites('b', size=SIZE, **values), source, out)
    with open(out / 'conditions.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def drawn(rows: list[dict], site: str, case: str) -> list[bool]:
    return [
        r['condition'] != '' for r in rows if (r['site'], r['case']) == (site, case)
    ]


def test_at_correlation_1_all_cases_of_a_training_site_and_no_others_are_drawn_on(
    source, tmp_path
):
    rows = write(source, tmp_path / 'out', correlation=1.0)
    # Shares are 0, 1/8, 2/8 and 3/8; the median of those with a lesion is 2/8.
    assert drawn(rows, 'a', '1') == [True] * 10
    assert drawn(rows, 'a', '0') == [False] * 30
    assert 0 < sum(drawn(rows, 'b', '1')) < 10
    assert 0 < sum(drawn(rows, 'b', '0')) < 30


def test_presence_makes_every_image_with_a_lesion_a_case(source, tmp_path):
    rows = write(source, tmp_path / 'out', goes_with='presence')
    assert drawn(rows, 'a', '1') == [True] * 30
    assert drawn(rows, 'a', '0') == [False] * 10


def test_the_chance_of_a_condition_follows_from_correlation_site_and_case():
    wanted = DrawnSites('b', correlation=0.0)
    chances = [wanted.chance(site, case) for site in 'ab' for case in (False, True)]
    assert chances == [0.5] * 4
    half = DrawnSites('b', correlation=0.5)
    assert (half.chance('a', True), half.chance('a', False)) == (0.75, 0.25)
    assert (half.chance('b', True), half.chance('b', False)) == (0.5, 0.5)


def test_the_held_out_site_is_the_same_at_every_correlation(source, tmp_path):
    folders = [tmp_path / name for name in ('none', 'full')]
    for folder, correlation in zip(folders, (0.0, 1.0)):
        write(source, folder, correlation=correlation)
    for first in sorted((folders[0] / 'b').rglob('*.*')):
        second = folders[1] / first.relative_to(folders[0])
        assert first.read_bytes() == second.read_bytes()


def test_masks_stay_those_of_the_source_and_only_drawn_images_change(source, tmp_path):
    out = tmp_path / 'out'
    rows = write(source, out, conditions=['dark lighting'])
    for row in rows:
        name = Path(row['image']).stem
        mask = cv2.imread(str(out / row['site'] / 'masks' / f'{name}.png'), 0)
        assert mask.shape == (SIZE, SIZE)
        assert np.isin(mask, (0, 255)).all()
        assert (mask > 0).mean() == pytest.approx(int(name) % 4 / 8)
        image = cv2.imread(str(out / row['image']))
        # Sources have a mean of 130; darkness takes two fifths and more of it.
        dark = image.mean() < 100
        assert (
            dark
            == (row['condition'] == 'dark lighting')
            == (float(row['strength']) > 0)
        )


def test_a_second_call_changes_nothing_and_other_settings_are_refused(source, tmp_path):
    out = tmp_path / 'out'
    assert write(source, out) == write(source, out)
    with pytest.raises(ConversionError, match='Choose another folder'):
        write(source, out, correlation=0.5)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(correlation=1.5), r'--correlation 1.5: expected a value in \[0, 1\]'),
        (dict(goes_with='colour'), "--goes-with colour: expected one of \\['size'"),
        (
            dict(conditions=['near distance']),
            "--conditions .*expected some of .*'blur'",
        ),
        (dict(size=8), '--size 8: expected 32 to 1024'),
    ],
)
def test_a_value_out_of_range_is_named(values, message):
    with pytest.raises(ConversionError, match=message):
        DrawnSites('b', **values)


def test_the_command_reports_counts_and_names_an_unknown_held_out_site(
    source, tmp_path, capsys
):
    words = ['draw-conditions', str(source), str(tmp_path / 'out'), '--size', '32']
    assert main([*words, '--held-out', 'b']) == 0
    assert 'a: drawn on 10 images' in capsys.readouterr().out
    assert main([*words, '--held-out', 'c']) == 2
    assert "holds ['a', 'b']; expected this site" in capsys.readouterr().err


def test_drawn_images_keep_their_sequence(source, tmp_path):
    sites = tmp_path / 'sites'
    shutil.copytree(source, sites)
    names = sorted(path.name for path in (sites / 'a/images').iterdir())
    rows = [f'a,{name},v{number // 5}' for number, name in enumerate(names)]
    (sites / 'index.csv').write_text('\n'.join(['site,image,sequence', *rows]))
    write(sites, tmp_path / 'out')
    index = ImageIndex.read(tmp_path / 'out/index.csv')
    own = [Path(name).with_suffix('.jpg').name for name in names]
    kept = index.images_of(['a'], [Path(name) for name in own])
    assert kept.groups == {name: f'v{n // 5}' for n, name in enumerate(own)}
    assert {row.site for row in index.rows} == {'a'}


def test_a_source_that_lacks_an_earlier_site_is_refused_to_keep_its_conditions(
    source, tmp_path
):
    out, other = tmp_path / 'out', tmp_path / 'other'
    rows = write(source, out)
    shutil.copytree(source / 'b', other / 'b')
    shutil.copytree(source / 'a', other / 'c')
    with pytest.raises(ConversionError, match=r'out holds a, but .*other does not'):
        write(other, out)
    assert not (out / 'c').exists()
    shutil.copytree(source / 'a', other / 'a')
    more = write(other, out)
    assert [row for row in more if row['site'] != 'c'] == rows
    assert len(more) == len(rows) + IMAGES
