import numpy as np
from coarse_scene import scene
from PIL import Image

from mcdrl_common.image_copies import Fingerprint, fingerprint
from mcdrl_lab.data.converters.duplicates import exact_groups, near_groups


def bits(*positions):
    array = np.zeros(256, np.uint8)
    array[list(positions)] = 1
    return np.packbits(array).tobytes().hex()


def test_exact_copies_have_the_same_pixels_whatever_the_file_format(tmp_path):
    image = scene(0)
    image.save(tmp_path / 'a.png')
    image.save(tmp_path / 'a.tif')
    fingerprints = {
        name: fingerprint(Image.open(tmp_path / name).convert('RGB'))
        for name in ('a.png', 'a.tif')
    }
    fingerprints['other'] = fingerprint(scene(1))
    assert exact_groups(fingerprints) == [['a.png', 'a.tif']]


def test_one_changed_pixel_turns_an_exact_copy_into_a_near_copy():
    changed = scene(0)
    changed.putpixel((3, 3), (0, 0, 0))
    fingerprints = {'a': fingerprint(scene(0)), 'b': fingerprint(changed)}
    assert exact_groups(fingerprints) == []
    assert near_groups(fingerprints) == [['a', 'b']]


def test_near_copies_are_found_despite_scaling_brightness_and_jpeg(tmp_path):
    image = scene(0)
    image.resize((100, 70)).point(lambda v: int(v * 0.8)).save(
        tmp_path / 'a.jpg', quality=50
    )
    fingerprints = {
        'original': fingerprint(image),
        'copy': fingerprint(Image.open(tmp_path / 'a.jpg').convert('RGB')),
        **{f'other{n}': fingerprint(scene(n)) for n in range(1, 20)},
    }
    assert near_groups(fingerprints) == [['copy', 'original']]


def test_images_within_32_bits_of_each_other_are_chained_into_one_group():
    fingerprints = {
        'a': Fingerprint('1', bits(*range(100))),
        'b': Fingerprint('2', bits(*range(132))),
        'c': Fingerprint('3', bits(*range(164))),
        'd': Fingerprint('4', bits(*range(197))),
    }
    assert near_groups(fingerprints) == [['a', 'b', 'c']]


def test_groups_of_only_exact_copies_are_not_near_copies():
    fingerprints = {name: Fingerprint('same', bits(1)) for name in 'ab'}
    assert exact_groups(fingerprints) == [['a', 'b']]
    assert near_groups(fingerprints) == []


def test_no_image_and_one_image_have_no_copies():
    assert near_groups({}) == []
    assert near_groups({'a': Fingerprint('1', bits(1))}) == []
