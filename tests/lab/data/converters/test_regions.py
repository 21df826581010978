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


def test_polygons_of_one_lesion_in_parts_are_all_filled():
    parts = [*SQUARE, [6, 5, 8, 5, 8, 6, 6, 6]]
    labels, _ = draw_regions([Region(1, parts)], SIZE)
    expected = square()
    expected[5, 6:8] = 1
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


def test_outlines_beyond_the_image_are_clipped_and_noted():
    labels, notes = draw_regions([Region(1, [[4, 2, 1e9, 2, 1e9, 5, 4, 5]])], SIZE)
    assert labels.sum() == 3 * 4
    assert notes == (('clipped outline', '1 reach out of the image'),)


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


def test_no_outline_is_an_empty_mask():
    labels, notes = draw_regions([], SIZE)
    assert not labels.any()
    assert notes == ()
