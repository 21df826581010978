import base64

import cv2
import numpy as np

from mcdrl_lab.serving.pictures import data_url, jpeg, shrink


def decode(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_shrink_fits_the_longer_side_and_keeps_the_shape():
    assert shrink(np.zeros((300, 200, 3), np.uint8), 90).shape == (90, 60, 3)
    assert shrink(np.zeros((3, 4000), np.float32), 40).shape == (1, 40)


def test_shrink_averages():
    checks = np.indices((8, 8)).sum(axis=0).astype(np.float32) % 2
    np.testing.assert_allclose(shrink(checks, 4), 0.5)


def test_shrink_never_enlarges():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(shrink(image, 4), image)


def test_jpeg_holds_the_image_red_first():
    orange = np.full((32, 32, 3), (230, 120, 20), np.uint8)
    assert np.abs(decode(jpeg(orange)).astype(int) - orange).max() <= 3


def test_data_url_holds_the_jpeg():
    image = np.full((16, 16, 3), 200, np.uint8)
    head, _, content = data_url(image).partition(',')
    assert head == 'data:image/jpeg;base64'
    assert base64.b64decode(content) == jpeg(image)
