import cv2
import numpy as np
import pytest

from mcdrl_mmseg.visualization.overlay import heat_map
from mcdrl_mmseg.visualization.padding import WHOLE, onto_image, window_of

GRID = np.arange(16, dtype=np.float32).reshape(4, 4)
UPPER_LEFT = (0.0, 0.5, 0.0, 0.5)


@pytest.mark.parametrize('key', ['padding_size', 'img_padding_size'])
def test_window_is_the_part_of_the_input_without_mmsegs_padding(key):
    """The order of its padding is left, right, top, bottom."""
    assert window_of({key: (0, 20, 0, 30)}, (40, 80)) == (0, 0.25, 0, 0.75)
    assert window_of({key: (8, 0, 10, 0)}, (40, 80)) == (0.25, 1, 0.1, 1)


@pytest.mark.parametrize('meta', [{}, dict(img_padding_size=(0, 0, 0, 0))])
def test_without_padding_the_window_is_the_whole_input(meta):
    assert window_of(meta, (40, 80)) == WHOLE


@pytest.mark.parametrize('method', [cv2.INTER_NEAREST, cv2.INTER_LINEAR])
def test_map_of_the_image_is_its_part_of_the_map_of_the_whole_input(method):
    over_input = cv2.resize(GRID, (24, 16), interpolation=method)
    found = onto_image(GRID, (8, 12), UPPER_LEFT, method)
    np.testing.assert_allclose(found, over_input[:8, :12], atol=0.2)
    whole = onto_image(GRID, (16, 24), WHOLE, method)
    np.testing.assert_array_equal(whole, over_input)


def test_border_between_two_positions_keeps_its_place():
    """The image covers 3 of 4 columns; the second begins at a third of its width."""
    found = onto_image(GRID, (4, 9), (0.0, 1.0, 0.0, 0.75))
    assert found[0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_heat_map_does_not_show_padded_positions():
    """The hottest position lies in the padding."""
    image = np.zeros((10, 10, 3), np.uint8)
    values = np.array([[0.0, 0.0], [0.0, 1.0]])
    cold = heat_map(image, np.zeros((2, 2)), 0, 1)
    values[1, 0] = values[0, 1] = np.nan
    assert (heat_map(image, values, 0, 1, window=UPPER_LEFT) == cold).all()
    assert (heat_map(image, values, 0, 1) != cold).any()
