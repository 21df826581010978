import base64
import io

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from mcdrl_lab.pictures import figure_uri, image_uri, jpeg, shrink


def decode(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_shrink_fits_the_longer_side_and_keeps_the_shape():
    assert shrink(np.zeros((300, 200, 3), np.uint8), 90).shape == (90, 60, 3)
    assert shrink(np.zeros((3, 4000), np.float32), 40).shape == (1, 40)


def test_shrink_averages_pixels():
    checks = np.indices((8, 8)).sum(axis=0).astype(np.float32) % 2
    np.testing.assert_allclose(shrink(checks, 4), 0.5)


def test_shrink_never_enlarges():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(shrink(image, 4), image)


def test_jpeg_encodes_an_rgb_image_in_its_colours():
    orange = np.full((32, 32, 3), (230, 120, 20), np.uint8)
    assert np.abs(decode(jpeg(orange)).astype(int) - orange).max() <= 3


def red_figure():
    return Figure(figsize=(2, 1), facecolor='red')


def decoded(uri, kind):
    prefix = f'data:image/{kind};base64,'
    assert uri.startswith(prefix)
    return Image.open(io.BytesIO(base64.b64decode(uri[len(prefix) :]))).convert('RGB')


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
