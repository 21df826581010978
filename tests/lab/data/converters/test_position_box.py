import numpy as np
import pytest
from coarse_scene import scene
from PIL import Image

from mcdrl_lab.data.converters.position_box import has_position_box


def with_box(colour, corner=(80, 10)):
    pixels = np.asarray(scene(0)).copy()
    pixels[..., 1] //= 3
    top, left = corner
    pixels[top : top + 35, left : left + 45] = colour
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ('colour', 'corner', 'expected'),
    [
        ((43, 182, 144), (80, 10), True),
        ((43, 182, 144), (5, 100), False),
        ((120, 60, 50), (80, 10), False),
        ((60, 130, 150), (80, 10), False),
    ],
)
def test_a_position_box_is_green_uniform_and_at_the_lower_left(
    colour, corner, expected
):
    assert has_position_box(with_box(colour, corner)) is expected


def test_position_boxes_of_the_real_sites_are_found(data_root):
    def share(site):
        paths = sorted((data_root / site / 'images').iterdir())[::5]
        found = [has_position_box(Image.open(p).convert('RGB')) for p in paths]
        return sum(found) / len(found)

    assert share('polypgen_c4') > 0.9
    assert 0.2 < share('endotect_kvasir') < 0.5
    assert share('polypgen_c3') == 0
    assert share('polypgen_c1') == 0
