import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mcdrl_common.findings import FileProblem
from mcdrl_lab.data.converters.regions import Region, draw_regions

SIZE = (6, 8)
SQUARE = [[2, 1, 5, 1, 5, 4, 2, 4]]


def square(value=1):
    expected = np.zeros(SIZE, np.uint8)
    expected[1:4, 2:5] = value
    return expected


def test_polygons_are_filled():
    labels, notes = draw_regions([Region(2, SQUARE)], SIZE)
    assert np.array_equal(labels, square(2))
    assert notes == ()


def test_a_flat_list_of_coordinates_is_one_polygon():
    labels, _ = draw_regions([Region(1, SQUARE[0])], SIZE)
    assert np.array_equal(labels, square())


def test_polygons_of_one_lesion_in_parts_are_all_filled():
    parts = [*SQUARE, [6, 5, 8, 5, 8, 6, 6, 6]]
    labels, _ = draw_regions([Region(1, parts)], SIZE)
    expected = square()
    expected[5, 6:8] = 1
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize('as_one', [True, False])
def test_where_two_outlines_overlap_there_is_lesion(as_one):
    both = [*SQUARE, [4, 2, 7, 2, 7, 5, 4, 5]]
    regions = [Region(1, both)] if as_one else [Region(1, [one]) for one in both]
    labels, _ = draw_regions(regions, SIZE)
    expected = square()
    expected[2:5, 4:7] = 1
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize('as_text', [True, False])
def test_run_lengths_are_read_as_text_and_as_list(as_text):
    counts = [13, 3, 3, 3, 3, 3, 20]
    rle = {'size': list(SIZE), 'counts': counts}
    if as_text:
        rle = coco_mask.frPyObjects(rle, *SIZE)
        rle['counts'] = rle['counts'].decode()
    labels, _ = draw_regions([Region(1, rle)], SIZE)
    assert np.array_equal(labels, square())


def test_text_run_lengths_of_any_mask_agree_with_pycocotools():
    rng = np.random.default_rng(0)
    for share in (0.02, 0.5, 0.98):
        mask = np.asfortranarray(rng.random((300, 400)) < share, dtype=np.uint8)
        rle = coco_mask.encode(mask)
        rle['counts'] = rle['counts'].decode()
        labels, _ = draw_regions([Region(1, rle)], (300, 400))
        assert np.array_equal(labels, mask)


@pytest.mark.parametrize(('outer', 'inner'), [(1, 2), (2, 1)])
def test_small_lesions_stay_visible_on_large_ones_whatever_the_order(outer, inner):
    large, small = Region(outer, [[0, 0, 8, 0, 8, 6, 0, 6]]), Region(inner, SQUARE)
    for regions in ([large, small], [small, large]):
        labels, notes = draw_regions(regions, SIZE)
        assert np.array_equal(labels == inner, square() == 1)
        assert (labels == outer).sum() == 48 - 9
        assert notes == (('overlap', '9 pixels lie in outlines of two classes'),)


@pytest.mark.parametrize('far', [1e9, 1.7e308])
def test_outlines_beyond_the_image_are_clipped_and_noted(far):
    labels, notes = draw_regions([Region(1, [[4, 2, far, 2, far, 5, 4, 5]])], SIZE)
    assert labels.sum() == 3 * 4
    assert notes == (('clipped outline', '1 extend beyond the image'),)


@pytest.mark.reliability('silent', 'a polygon over the border of the image')
def test_a_triangle_over_the_border_keeps_the_slope_of_its_edges():
    # From (-8, 0) to (8, 0) and (8, 16): the edge y = x + 8 enters at (0, 8).
    labels, notes = draw_regions([Region(1, [[-8, 0, 8, 0, 8, 16]])], (16, 16))
    rows, columns = np.mgrid[:16, :16] + 0.5
    inside = (columns < 8) & (rows < columns + 8)
    off_the_edge = np.abs(rows - columns - 8) > 0.5
    assert np.array_equal(labels[off_the_edge], inside[off_the_edge])
    assert abs(int(labels.sum()) - 96) <= 8
    assert notes == (('clipped outline', '1 extend beyond the image'),)


def test_random_polygons_over_the_border_agree_with_a_larger_canvas():
    rng = np.random.default_rng(0)
    for _ in range(200):
        points = rng.uniform(-29, 59, (rng.integers(3, 9), 2))
        labels, _ = draw_regions([Region(1, [points.ravel().tolist()])], (30, 30))
        moved = [(points + 30).ravel().tolist()]
        canvas = coco_mask.decode(coco_mask.frPyObjects(moved, 90, 90))[..., 0]
        differing = labels != canvas[30:60, 30:60]
        # pycocotools rounds corners to a fifth of a pixel, and those below 0 upwards.
        assert not (differing & ~_edges(points)).any()


def _edges(points) -> np.ndarray:
    """Pixels whose centre lies less than a pixel from an edge of a polygon."""
    rows, columns = np.mgrid[:30, :30] + 0.5
    near = np.zeros((30, 30), bool)
    for (x, y), (end_x, end_y) in zip(points, np.roll(points, -1, axis=0)):
        across, down = end_x - x, end_y - y
        share = ((columns - x) * across + (rows - y) * down) / (across**2 + down**2)
        share = np.clip(share, 0, 1)
        away = np.hypot(columns - x - share * across, rows - y - share * down)
        near |= away < 1
    return near


@pytest.mark.parametrize('far', [1e3, 1e9, 1e15])
def test_edges_to_far_corners_keep_their_slope(far):
    # A triangle from far away: all pixels above the diagonal y = x.
    triangle = [[-far, -far, far, far, far, -far]]
    labels, _ = draw_regions([Region(1, triangle)], (20, 20))
    above, below = np.triu_indices(20, 1), np.tril_indices(20, -1)
    assert labels[above].all()
    assert not labels[below].any()


def test_an_outline_wholly_beyond_the_image_draws_nothing():
    for outline in ([100, 1, 109, 1, 109, 9], [-1e9, 1, -1e8, 1, -1e8, 9]):
        labels, notes = draw_regions([Region(1, [outline])], (20, 20))
        assert not labels.any()
        assert notes == (('clipped outline', '1 extend beyond the image'),)


def test_outlines_that_hold_no_pixel_are_noted():
    sliver, twice_around = [1, 1, 1.1, 1, 1.1, 1.1], SQUARE[0] * 2
    labels, notes = draw_regions(
        [Region(1, [sliver]), Region(1, [twice_around]), Region(2, SQUARE)], SIZE
    )
    assert np.array_equal(labels, square(2))
    assert notes == (('empty outline', '2 contain no pixel'),)


@pytest.mark.parametrize(
    ('segmentation', 'kind'),
    [
        (None, 'bad annotation'),
        ([], 'bad annotation'),
        ([[1, 1, 2, 2]], 'bad annotation'),
        ([[1, 1, 2, 2, 3]], 'bad annotation'),
        ([[1, 1, 2, 2, float('nan'), 3]], 'bad annotation'),
        ([['a', 'b', 'c', 'd', 'e', 'f']], 'bad annotation'),
        ('text', 'bad annotation'),
        ({'size': [8, 6], 'counts': [48]}, 'size mismatch'),
        ({'size': [6, 8], 'counts': [13, 3]}, 'bad annotation'),
        ({'size': [6, 8], 'counts': [13, 99]}, 'bad annotation'),
        ({'size': [6, 8], 'counts': [50, -2]}, 'bad annotation'),
        ({'size': [6, 8], 'counts': [48.0]}, 'bad annotation'),
        ({'size': [6, 8], 'counts': '0'}, 'bad annotation'),
        ({'size': [6, 8], 'counts': 'zzzz'}, 'bad annotation'),
        ({'size': [6, 8], 'counts': 'o'}, 'bad annotation'),
        ({'size': [6, 8]}, 'bad annotation'),
    ],
)
def test_outlines_that_cannot_be_drawn_are_refused(segmentation, kind):
    with pytest.raises(FileProblem) as error:
        draw_regions([Region(1, segmentation)], SIZE)
    assert error.value.kind == kind


def test_an_image_without_outlines_gets_an_empty_mask():
    labels, notes = draw_regions([], SIZE)
    assert not labels.any()
    assert notes == ()
