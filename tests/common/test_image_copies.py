import numpy as np
import pytest
from coarse_scene import scene
from PIL import Image

from mcdrl_common.image_copies import fingerprint, near_pairs_between


def test_the_perceptual_hash_is_computed_from_the_cosine_transform():
    from scipy.fft import dctn

    image = scene(3)
    small = image.convert('L').resize((64, 64), Image.Resampling.BOX)
    lowest = dctn(np.asarray(small, float), norm='ortho')[:16, :16].ravel()[1:]
    expected = np.packbits(lowest > np.median(lowest)).tobytes().hex()
    assert fingerprint(image).perceptual == expected


def test_flat_images_have_one_hash_despite_rounding_errors():
    hashes = {
        fingerprint(Image.new('RGB', (64, 64), colour)).perceptual
        for colour in ((0, 0, 0), (1, 1, 1), (77, 20, 3), (255, 255, 255))
    }
    assert hashes == {'00' * 32}


@pytest.mark.parametrize(
    ('turn', 'name'),
    [
        (Image.Transpose.FLIP_LEFT_RIGHT, 'mirrored'),
        (Image.Transpose.FLIP_TOP_BOTTOM, 'mirrored'),
        (Image.Transpose.TRANSPOSE, 'mirrored'),
        (Image.Transpose.TRANSVERSE, 'mirrored'),
        (Image.Transpose.ROTATE_90, 'rotated'),
        (Image.Transpose.ROTATE_180, 'rotated'),
        (Image.Transpose.ROTATE_270, 'rotated'),
    ],
)
def test_a_mirrored_or_rotated_image_is_found_among_others_by_its_hash_alone(
    turn, name
):
    images = [scene(number).resize((96, 64)) for number in range(20)]
    hashes = [fingerprint(image).perceptual for image in images]
    turned = fingerprint(images[7].transpose(turn)).perceptual
    (pair,) = near_pairs_between([turned], hashes)
    assert (pair.first, pair.second, pair.turned) == (0, 7, name)


def test_a_symmetric_image_is_paired_once_and_as_not_turned():
    half = np.asarray(scene(0))
    image = Image.fromarray(np.concatenate([half, half[:, ::-1]], axis=1))
    look = fingerprint(image).perceptual
    assert list(near_pairs_between([look], [look])) == [(0, 0, 0, '')]


def test_mirrored_real_images_are_found_and_different_ones_are_not(data_root):
    """Thirty images of each of six hospitals, at most."""
    images = [
        Image.open(path).convert('RGB').resize((160, 128))
        for site in sorted(data_root.iterdir())
        for path in sorted((site / 'images').glob('*'))[::10][:30]
    ]
    hashes = [fingerprint(image).perceptual for image in images]
    flip = Image.Transpose.FLIP_LEFT_RIGHT
    mirrored = [fingerprint(image.transpose(flip)).perceptual for image in images]
    pairs = [p for p in near_pairs_between(mirrored, hashes) if p.turned == 'mirrored']
    assert len(images) > 100
    assert [(p.first, p.second) for p in pairs] == [(n, n) for n in range(len(images))]
