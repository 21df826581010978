import numpy as np
from coarse_scene import scene
from PIL import Image

from mcdrl_common.image_copies import fingerprint


def test_the_hash_is_that_of_the_cosine_transform():
    from scipy.fft import dctn

    image = scene(3)
    small = image.convert('L').resize((64, 64), Image.Resampling.BOX)
    lowest = dctn(np.asarray(small, float), norm='ortho')[:16, :16].ravel()[1:]
    expected = np.packbits(lowest > np.median(lowest)).tobytes().hex()
    assert fingerprint(image).perceptual == expected


def test_rounding_errors_do_not_tell_flat_images_apart():
    hashes = {
        fingerprint(Image.new('RGB', (64, 64), colour)).perceptual
        for colour in ((0, 0, 0), (1, 1, 1), (77, 20, 3), (255, 255, 255))
    }
    assert hashes == {'00' * 32}
