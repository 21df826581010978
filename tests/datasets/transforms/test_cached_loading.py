import os
import warnings

import cv2
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

from mcdrl_common import atomic_write
from mcdrl_mmseg.datasets import EndoscopySiteDataset
from mcdrl_mmseg.datasets.transforms.cached_loading import CachedLoading, cache_leading

STEPS = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLesionMask'),
    dict(type='Resize', scale=(8, 6), keep_ratio=False),
]


@pytest.fixture
def root(tmp_path):
    for kind in ('images', 'masks'):
        (tmp_path / 'site' / kind).mkdir(parents=True)
    draw(tmp_path, 'a', 50)
    draw(tmp_path, 'b', 90)
    return tmp_path


def draw(root, name, value):
    noise = np.random.default_rng(value).integers(0, 256, (12, 16, 3), np.uint8)
    cv2.imwrite(str(root / 'site/images' / f'{name}.png'), noise)
    mask = (noise[..., 0] > 128) * np.uint8(255)
    cv2.imwrite(str(root / 'site/masks' / f'{name}.png'), mask)


def dataset(root, pipeline=STEPS, **values):
    values = {'sites': ['site'], 'serialize_data': False, **values}
    return EndoscopySiteDataset(data_root=str(root), pipeline=pipeline, **values)


def equal(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert type(value) is type(other[key]), key
        assert (
            np.array_equal(value, other[key])
            if key
            in (
                'img',
                'gt_seg_map',
            )
            else value == other[key]
        ), key


def test_results_equal_those_of_the_steps_at_the_first_and_every_later_read(root):
    plain = dataset(root)
    cached = dataset(root, cache_dir=str(root / 'cache'))
    for index in (0, 1, 0, 1):
        equal(cached[index], plain[index])
    assert len(list((root / 'cache').iterdir())) == 2


def test_a_cached_image_is_not_decoded_again(root, monkeypatch):
    cached = dataset(root, cache_dir=str(root / 'cache'))
    expected = cached[0]
    monkeypatch.setattr(cv2, 'imdecode', None)
    equal(dataset(root, cache_dir=str(root / 'cache'))[0], expected)


def test_later_steps_can_change_cached_results_in_place(root):
    cached = dataset(root, cache_dir=str(root / 'cache'))
    expected = dataset(root)[0]
    for _ in range(2):
        result = cached[0]
        equal(result, expected)
        result['img'] += 1
        result['gt_seg_map'][:] = 9
        result['seg_fields'].append('other')


@pytest.mark.parametrize('kind', ['images', 'masks'])
def test_a_changed_file_is_read_again(root, kind):
    cached = dataset(root, cache_dir=str(root / 'cache'))
    before = cached[0]
    path = root / 'site' / kind / 'a.png'
    cv2.imwrite(str(path), 255 - cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    os.utime(path, ns=(1, 1))
    equal(cached[0], dataset(root)[0])
    field = 'img' if kind == 'images' else 'gt_seg_map'
    assert not np.array_equal(cached[0][field], before[field])


def test_other_steps_and_other_labels_have_their_own_cache_files(root):
    folder = str(root / 'cache')
    larger = [*STEPS[:2], dict(type='Resize', scale=(16, 12), keep_ratio=False)]
    three = dict(classes=('background', 'lesion', 'polyp'))
    site = dict(name='site', lesion_classes=['polyp'])
    for values in (
        dict(),
        dict(pipeline=larger),
        dict(metainfo=three, sites=[site]),
    ):
        equal(dataset(root, cache_dir=folder, **values)[0], dataset(root, **values)[0])
    assert len(list((root / 'cache').iterdir())) == 3


def test_a_damaged_cache_file_is_written_again(root):
    cached = dataset(root, cache_dir=str(root / 'cache'))
    expected = cached[0]
    (file,) = (root / 'cache').iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    equal(cached[0], expected)
    assert file.read_bytes() == whole


def test_a_full_disk_gives_a_warning_and_the_image_is_loaded_from_its_file(
    root, monkeypatch
):
    def full(*_):
        raise OSError('no space left')

    monkeypatch.setattr(atomic_write, 'atomic_write', full)
    cached = dataset(root, cache_dir=str(root / 'cache'))
    with pytest.warns(UserWarning, match='no space left'):
        equal(cached[0], dataset(root)[0])


def test_random_steps_are_not_cached(root):
    flip = dict(type='RandomFlip', prob=0.5)
    pipeline = cache_leading([*STEPS, flip, *STEPS[2:]], 'cache')
    assert [step['type'] for step in pipeline] == [
        'CachedLoading',
        'RandomFlip',
        'Resize',
    ]
    with pytest.raises(ValueError, match=r"'RandomFlip'.* cannot be cached"):
        CachedLoading([*STEPS, flip], 'cache')
    with pytest.raises(ValueError, match=r"cache_dir='cache': .*begins with .*Flip"):
        cache_leading([flip], 'cache')


def test_images_without_mask_are_loaded_without_a_warning(root):
    """As mmseg's inferencers pass them in."""
    cfg = dict(type='CachedLoading', transforms=STEPS, folder=str(root / 'cache'))
    step = TRANSFORMS.build(cfg)
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            result = step(dict(img_path=str(root / 'site/images/a.png')))
        assert result['img'].shape == (6, 8, 3) and 'gt_seg_map' not in result
