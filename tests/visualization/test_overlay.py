import numpy as np
import pytest

from mcdrl_mmseg.visualization.overlay import (
    MASK_COLORS,
    heat_map,
    mask_overlay,
    outline,
)


@pytest.fixture
def image() -> np.ndarray:
    return np.full((60, 80, 3), (200, 100, 60), np.uint8)


@pytest.fixture
def mask() -> np.ndarray:
    labels = np.zeros((60, 80), np.uint8)
    labels[10:50, 10:40] = 1
    labels[10:50, 50:75] = 2
    return labels


def test_each_class_is_filled_with_its_colour_at_the_given_opacity(image, mask):
    drawn = mask_overlay(image, mask, opacity=0.25)
    for row, column, color in ((30, 25, MASK_COLORS[0]), (30, 62, MASK_COLORS[1])):
        expected = 0.75 * image[0, 0] + 0.25 * np.array(color)
        np.testing.assert_allclose(drawn[row, column], expected, atol=0.51)
    np.testing.assert_array_equal(drawn[:5], image[:5])


def test_outline_is_drawn_in_the_class_colour_beside_black(image, mask):
    row = mask_overlay(image, mask)[30, 6:16]
    assert (row == MASK_COLORS[0]).all(axis=1).any()
    assert (row == 0).all(axis=1).any()


def test_boolean_mask_is_one_class_and_ignored_pixels_stay_unchanged(image, mask):
    np.testing.assert_array_equal(
        mask_overlay(image, mask == 1), mask_overlay(image, np.uint8(mask == 1))
    )
    ignored = np.where(mask > 0, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(mask_overlay(image, ignored), image)


def test_input_image_is_not_modified(image, mask):
    before = image.copy()
    mask_overlay(image, mask)
    outline(image, mask == 1)
    heat_map(image, np.eye(3))
    np.testing.assert_array_equal(image, before)


def test_outline_alone_does_not_fill_the_mask(image, mask):
    drawn = outline(image, mask == 1)
    np.testing.assert_array_equal(drawn[30, 25], image[30, 25])
    assert (drawn != image).any()


@pytest.mark.parametrize('draw', [mask_overlay, outline])
def test_a_mask_of_another_size_is_refused(image, draw):
    with pytest.raises(
        ValueError, match='the mask is 60 x 80 pixels, the image 80 x 60'
    ):
        draw(image, np.zeros((80, 60), bool))


def test_heat_map_spans_its_own_values_or_the_given_scale(image):
    values = np.array([[0.0, 1.0]])
    drawn = heat_map(image, values, opacity=1.0)
    # Both ends of cividis; then the given scale.
    np.testing.assert_allclose(drawn[30, 0], (0, 34, 78), atol=2)
    np.testing.assert_allclose(drawn[30, -1], (254, 232, 56), atol=2)
    half = heat_map(image, values, low=0, high=2, opacity=1.0)
    np.testing.assert_allclose(half[30, -1], (124, 123, 120), atol=4)


def test_heat_map_only_darkens_positions_without_a_value(image):
    values = np.array([[np.nan, 1.0]])
    drawn = heat_map(image, values, low=0, high=1, opacity=0.5)
    np.testing.assert_allclose(drawn[:, :40], image[:, :40] / 2, atol=0.51)
    assert (drawn[:, 40:] > image[:, 40:] / 2 + 1).any()
