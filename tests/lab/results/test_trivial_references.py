import numpy as np
import pytest
from PIL import Image

from mcdrl_lab.commands import main
from mcdrl_lab.results.text_cells import MISSING
from mcdrl_lab.results.trivial_references import (
    GRID,
    TrueMask,
    best_threshold,
    centre_map,
    constant_map,
    score_references,
)


def mask_of(site, rows, columns, size=(GRID, GRID)):
    lesion = np.zeros(size, bool)
    lesion[rows, columns] = True
    return TrueMask(site, lesion)


UPPER = slice(0, GRID // 2), slice(0, GRID)
NOWHERE = slice(0, 0), slice(0, 0)


def test_the_constant_map_is_the_share_of_lesions_at_each_place():
    # Left upper quarter in both, right upper quarter in one; no lesion in the third.
    masks = [
        mask_of('a', *UPPER),
        mask_of('b', slice(0, GRID // 2), slice(0, GRID // 2)),
        mask_of('b', *NOWHERE),
    ]
    found = constant_map(masks)
    assert found[0, 0] == 1
    assert found[0, -1] == 0.5
    assert found[-1, 0] == 0


def test_the_centre_map_falls_from_the_centre_to_the_corners():
    found = centre_map()
    assert found[0, 0] == found[-1, -1] == 0
    assert found.max() == found[GRID // 2, GRID // 2]
    assert (found == found[::-1]).all()
    assert (found == found.T).all()


def test_the_threshold_is_that_of_the_best_mean_dice():
    relative_map = np.zeros((GRID, GRID))
    relative_map[UPPER] = 0.6
    relative_map[: GRID // 4] = 1
    # The upper half is the lesion: every threshold above 0 and up to 0.6 finds it
    # exactly, and the lowest of them is taken.
    assert best_threshold(relative_map, [mask_of('a', *UPPER)]) == 1 / 255
    quarter = [mask_of('a', slice(0, GRID // 4), slice(0, GRID))]
    assert best_threshold(relative_map, quarter) == 154 / 255


def test_a_site_is_scored_with_a_map_from_the_other_sites():
    # Of site b the half predicted by a's map covers the lesion, a quarter: Dice
    # 2 * 1 / (2 + 1). The lesion-free image has a false positive: 0.
    masks = [
        mask_of('a', *UPPER),
        mask_of('b', slice(0, GRID // 4), slice(0, GRID)),
        mask_of('b', *NOWHERE),
    ]
    scores = {(s.reference, s.site): s for s in score_references(masks)}
    b = scores['constant_mask', 'b']
    assert b.dice == pytest.approx(2 / 3)
    assert b.dice_all == pytest.approx(1 / 3)
    assert b.false_positive_rate == 1
    # Of site a the quarter predicted by b's map lies in the half: the same Dice.
    assert scores['constant_mask', 'a'].dice == pytest.approx(2 / 3)
    assert np.isnan(scores['constant_mask', 'a'].false_positive_rate)


def test_maps_are_resized_to_images_of_any_size():
    small, large = (30, 50), (200, 120)
    masks = [
        mask_of('a', slice(0, 15), slice(0, 50), small),
        mask_of('b', slice(0, 100), slice(0, 120), large),
    ]
    for score in score_references(masks):
        if score.reference == 'constant_mask':
            assert score.dice > 0.97


def write_site(root, site, masks):
    for part in ('images', 'masks'):
        (root / site / part).mkdir(parents=True)
    for number, mask in enumerate(masks):
        Image.new('RGB', (8, 8)).save(root / site / f'images/{number}.png')
        Image.fromarray(mask).save(root / site / f'masks/{number}.png')


def test_the_command_prints_a_row_for_each_site(tmp_path, capsys):
    mask = np.zeros((8, 8), np.uint8)
    mask[:4] = 255
    for site in ('north', 'south'):
        write_site(tmp_path, site, [mask])
    assert main(['references', str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in shown if line]
    # Half of each image is lesion, the same half: the map of the other site fits.
    assert [row[:2] for row in rows[2:5]] == [
        ['constant_mask', 'north'],
        ['constant_mask', 'south'],
        ['constant_mask', 'mean of sites'],
    ]
    assert rows[2][3:] == ['100.0', '100.0', MISSING]
    assert rows[4][2:] == ['', '100.0', '100.0', '']


def test_one_site_or_a_damaged_mask_is_an_error(tmp_path, capsys):
    write_site(tmp_path, 'north', [np.full((8, 8), 255, np.uint8)])
    assert main(['references', str(tmp_path)]) == 2
    assert 'has fewer than two sites' in capsys.readouterr().err
    (tmp_path / 'north/masks/0.png').write_bytes(b'no image')
    assert main(['references', str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert '0.png' in error
    assert 'not a readable image' in error


def test_ignored_pixels_do_not_count_in_the_scores():
    """The centre prior is right where the truth is known, and all else is unknown."""
    known = np.zeros((GRID, GRID), bool)
    known[28:36, 28:36] = True
    masks = [
        TrueMask(site, lesion, ~known)
        for site in ('a', 'b')
        for lesion in (known, np.zeros_like(known))
    ]
    nothing = TrueMask('b', np.zeros_like(known), np.ones_like(known))
    for score in score_references([*masks, nothing]):
        assert score.dice == 1.0
        assert score.false_positive_rate == 1.0
        assert score.dice_all == 0.5
