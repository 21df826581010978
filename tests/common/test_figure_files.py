import base64
import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from mcdrl_common.figure_files import figure_array, figure_uri, image_uri


def red_figure():
    return Figure(figsize=(2, 1), facecolor='red')


def decoded(uri, kind):
    prefix = f'data:image/{kind};base64,'
    assert uri.startswith(prefix)
    return Image.open(io.BytesIO(base64.b64decode(uri[len(prefix) :]))).convert('RGB')


def test_array_is_red_first_and_of_the_figures_size():
    array = figure_array(red_figure(), dpi=50)
    assert array.shape == (50, 100, 3)
    assert array.dtype == np.uint8
    assert (array == [255, 0, 0]).all()


def test_uri_of_a_figure_is_a_png_of_its_pixels():
    picture = decoded(figure_uri(red_figure(), dpi=50), 'png')
    assert picture.size == (100, 50)
    assert picture.getpixel((3, 3)) == (255, 0, 0)


def test_uri_of_an_image_is_a_jpeg_with_its_colours():
    image = np.zeros((16, 32, 3), np.uint8)
    image[..., 0] = 200
    picture = decoded(image_uri(image), 'jpeg')
    assert picture.size == (32, 16)
    np.testing.assert_allclose(picture.getpixel((8, 8)), (200, 0, 0), atol=6)
