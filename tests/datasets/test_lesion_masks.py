import cv2
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

from mcdrl_common.mask_format import MaskError, MaskFormat
from mcdrl_mmseg.datasets import LoadLesionMask

BINARY = MaskFormat({255: 'polyp'}, {0: 0, 255: 1}, binary=True)
INDEXED = MaskFormat(
    {1: 'polyp', 2: 'cyst', 7: 'cyst'}, {0: 0, 1: 1, 2: 2, 7: 2, 9: 255}, binary=False
)


def mask(*rows) -> np.ndarray:
    return np.array(rows, dtype=np.uint8)


def test_a_binary_mask_is_thresholded_at_half_the_range():
    labels, names = BINARY.decode(mask([0, 127, 128], [3, 250, 255]), 'm.png')
    assert labels.tolist() == [[0, 0, 1], [0, 1, 1]]
    assert labels.dtype == np.uint8
    assert names == ('polyp',)


def test_an_empty_binary_mask_is_lesion_free():
    labels, names = BINARY.decode(mask([0, 0], [0, 0]), 'm.png')
    assert labels.tolist() == [[0, 0], [0, 0]]
    assert names == ()


def test_a_full_binary_mask_is_all_lesion():
    labels, names = BINARY.decode(mask([255, 255]), 'm.png')
    assert labels.tolist() == [[1, 1]]
    assert names == ('polyp',)


@pytest.mark.parametrize('highest', [1, 100, 127])
def test_an_index_mask_in_place_of_a_binary_one_is_an_error(highest):
    """Thresholded at half the range, it would silently become lesion-free."""
    with pytest.raises(
        MaskError, match=rf'm\.png: highest value is {highest}.*mask_va'
    ):
        BINARY.decode(mask([0, highest]), 'm.png')


def areas(*values, size=8) -> np.ndarray:
    """One square of each value, side by side."""
    return np.repeat(np.repeat(mask(values), size, axis=0), size, axis=1)


@pytest.mark.reliability('silent', 'a lossless mask with an uncertain border')
@pytest.mark.parametrize('values', [(0, 1, 255), (0, 128, 255), (0, 200, 255)])
def test_areas_of_a_third_value_in_a_binary_mask_are_an_error(values):
    """1 a lesion and 255 its uncertain border: the border would be the lesion."""
    with pytest.raises(MaskError, match=r'm\.png: areas with the values.*mask_values'):
        BINARY.decode(areas(*values), 'm.png')


@pytest.mark.parametrize('values', [(0, 254), (1, 255), (0, 255)])
def test_two_areas_on_both_sides_of_the_half_are_background_and_lesion(values):
    labels, _ = BINARY.decode(areas(*values), 'm.png')
    assert np.array_equal(labels, areas(0, 1))


@pytest.mark.reliability('silent', 'a lossless mask with antialiased edges')
@pytest.mark.parametrize('scale', [0.25, 0.3, 2, 3.7, 8])
def test_soft_edges_of_lossless_masks_are_thresholded(scale):
    disc = cv2.circle(np.zeros((200, 200), np.uint8), (90, 110), 60, 255, -1)
    soft = cv2.resize(disc, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if scale > 1:
        soft = cv2.resize(disc, None, fx=scale, fy=scale)
    labels, _ = BINARY.decode(soft, 'm.png')
    assert np.array_equal(labels, (soft > 127).astype(np.uint8))
    assert set(np.unique(soft)) > {0, 255}


def test_further_values_in_jpeg_masks_are_not_taken_for_classes():
    labels, _ = BINARY.decode(areas(0, 2, 250, 255), 'm.JPG')
    assert np.array_equal(labels, areas(0, 0, 1, 1))
    assert BINARY.decode(areas(0, 30), 'm.jpeg')[1] == ()


def test_an_index_mask_gives_labels_and_the_classes_present():
    labels, names = INDEXED.decode(mask([0, 2, 9], [0, 0, 7]), 'm.png')
    assert labels.tolist() == [[0, 2, 255], [0, 0, 2]]
    assert names == ('cyst',)
    _, names = INDEXED.decode(mask([7, 2, 1]), 'm.png')
    assert names == ('polyp', 'cyst')


def test_an_index_mask_of_background_and_ignored_pixels_is_lesion_free():
    labels, names = INDEXED.decode(mask([0, 9]), 'm.png')
    assert labels.tolist() == [[0, 255]]
    assert names == ()


def test_an_unknown_value_is_an_error_naming_file_value_and_known_values():
    with pytest.raises(
        MaskError, match=r'm\.png: values \[3, 255\].*\[0, 1, 2, 7, 9\]'
    ):
        INDEXED.decode(mask([0, 3, 255]), 'm.png')


def test_equal_channels_count_as_one_and_differing_ones_are_an_error():
    grey = np.repeat(mask([0, 255])[..., None], 3, axis=2)
    assert BINARY.decode(grey, 'm.png')[0].tolist() == [[0, 1]]
    grey[0, 0, 1] = 255
    with pytest.raises(MaskError, match=r'm\.png: a colour mask'):
        BINARY.decode(grey, 'm.png')


def load(path, mask_format=BINARY, **results):
    return LoadLesionMask()(
        {'seg_map_path': str(path), 'mask_format': mask_format, **results}
    )


def test_the_transform_adds_labels_classes_and_the_label_field(tmp_path):
    path = tmp_path / 'm.png'
    cv2.imwrite(str(path), mask([0, 255], [0, 0], [0, 0]))
    results = load(path, ori_shape=(3, 2), seg_fields=[])
    assert results['gt_seg_map'].tolist() == [[0, 1], [0, 0], [0, 0]]
    assert results['lesion_classes'] == ('polyp',)
    assert results['seg_fields'] == ['gt_seg_map']


def test_the_transform_reads_jpeg_masks_with_soft_edges(tmp_path):
    square = np.zeros((32, 32), np.uint8)
    square[5:21, 5:21] = 255
    path = tmp_path / 'm.jpg'
    cv2.imwrite(str(path), square, [cv2.IMWRITE_JPEG_QUALITY, 60])
    assert len(np.unique(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))) > 2
    assert np.array_equal(load(path)['gt_seg_map'], square // 255)


def test_the_transform_reads_palette_indices_and_not_colours(tmp_path):
    from PIL import Image

    image = Image.fromarray(mask([0, 1], [2, 9]), mode='L').convert('P')
    path = tmp_path / 'm.png'
    image.save(path)
    assert load(path, INDEXED)['gt_seg_map'].tolist() == [[0, 1], [2, 255]]


def test_a_mask_of_another_size_than_the_image_is_an_error(tmp_path):
    path = tmp_path / 'm.png'
    cv2.imwrite(str(path), mask([0, 255]))
    with pytest.raises(MaskError, match=r'm\.png: the mask is \(1, 2\).*\(2, 1\)'):
        load(path, ori_shape=(2, 1))


def test_a_damaged_mask_is_an_error_naming_it(tmp_path):
    path = tmp_path / 'm.png'
    path.write_bytes(b'no image')
    with pytest.raises(MaskError, match=r'm\.png: not an image'):
        load(path)


def test_the_transform_leaves_images_without_mask_unchanged():
    assert LoadLesionMask()({'img_path': 'x'}) == {'img_path': 'x'}


def test_the_transform_can_be_built_from_the_registry():
    assert 'LoadLesionMask' in repr(TRANSFORMS.build(dict(type='LoadLesionMask')))
