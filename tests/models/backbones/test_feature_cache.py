import gc
import pickle
import random
import shutil
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mcdrl_mmseg.models import CLIPVisionBackbone
from mcdrl_mmseg.models.backbones import feature_cache
from mcdrl_mmseg.models.backbones.feature_cache import (
    FeatureCache,
    FeaturesTooLargeError,
)

IMAGES = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).float()
EXPECTED = IMAGES.mean((2, 3)), 2 * IMAGES[:, :1]


class Tower:
    """Two features of an image; counts the images that it sees."""

    def __init__(self):
        self.seen = 0

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        self.seen += len(images)
        return images.mean((2, 3)), 2 * images[:, :1]


@pytest.fixture
def tower():
    return Tower()


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / 'features', 1.0)


def another(cache):
    """The cache as a later process opens it."""
    return FeatureCache(cache.folder, cache.limit_gb)


def count_tensors():
    gc.collect()
    return sum(isinstance(one, Tensor) for one in gc.get_objects())


def check(features):
    assert len(features) == len(EXPECTED)
    assert all(torch.equal(*pair) for pair in zip(features, EXPECTED))


def test_features_are_computed_once_per_image(cache, tower):
    check(cache.features(IMAGES, 'a', tower))
    check(cache.features(IMAGES, 'a', tower))
    check([part.flip(0) for part in cache.features(IMAGES.flip(0), 'a', tower)])
    assert tower.seen == 2


def test_later_processes_read_the_stored_features(cache, tower):
    cache.features(IMAGES, 'a', Tower())
    check(another(cache).features(IMAGES, 'a', tower))
    assert tower.seen == 0


@pytest.mark.parametrize(('most', 'digests'), [(2, 2), (1, 4), (0, 6)])
def test_digests_of_recent_images_are_remembered_up_to_a_limit(
    cache, monkeypatch, most, digests
):
    digest, named = feature_cache.digest, []

    def counting(*contents):
        named.append(contents)
        return digest(*contents)

    monkeypatch.setattr(feature_cache, 'digest', counting)
    monkeypatch.setattr(feature_cache, '_MOST_NAMES', most)
    for _ in range(3):
        check(cache.features(IMAGES.clone(), 'a', Tower()))
    assert len(named) == digests


def test_the_checksum_of_each_entry_is_verified_only_once(cache, tower, monkeypatch):
    cache.features(IMAGES, 'a', Tower())
    checksum, looked_at = feature_cache._checksum, []

    def counting(content):
        looked_at.append(content)
        return checksum(content)

    monkeypatch.setattr(feature_cache, '_checksum', counting)
    later = another(cache)
    for _ in range(3):
        found = later.features(IMAGES, 'a', tower)
        check(found)
        # Changes by a caller do not reach the kept features.
        for part in found:
            part.zero_()
    assert len(looked_at) == 2 and tower.seen == 0


@pytest.mark.skipif(sys.platform != 'linux', reason='/proc')
def test_files_are_memory_mapped_only_while_a_batch_is_assembled(cache, monkeypatch):
    """Otherwise concurrent runs hold copies, or all that they have ever read."""
    joined, seen = torch.cat, []

    def mapped():
        lines = Path('/proc/self/maps').read_text().splitlines()
        return sorted({line.split()[-1] for line in lines if '.features' in line})

    def looking(parts):
        seen.append(mapped())
        return joined(parts)

    cache.features(IMAGES, 'a', Tower())
    monkeypatch.setattr(torch, 'cat', looking)
    check(another(cache).features(IMAGES, 'a', Tower()))
    assert seen == [sorted(map(str, cache.folder.iterdir()))] * len(seen)
    assert seen and not mapped()


def test_reading_an_image_leaves_no_tensor_behind(cache):
    cache.features(IMAGES, 'a', Tower())
    later = another(cache)
    before = count_tensors()
    later.features(IMAGES, 'a', Tower())
    assert count_tensors() == before


def test_concurrent_processes_read_features_that_the_other_computed(cache, tower):
    beside = another(cache)
    beside.features(IMAGES[:1], 'a', Tower())
    cache.features(IMAGES[1:], 'a', Tower())
    check(beside.features(IMAGES, 'a', tower))
    assert tower.seen == 0


def test_processes_with_the_same_images_share_the_work(cache):
    """The other gets the same batch while the first of its images is computed."""
    images = torch.randn(16, 3, 4, 4)
    beside, seen = another(cache), []

    def compute(image):
        seen.append('a')
        if len(seen) == 1:
            beside.features(images, 'a', compute_beside)
        return Tower()(image)

    def compute_beside(image):
        seen.append('b')
        return Tower()(image)

    found = cache.features(images, 'a', compute)
    assert all(torch.equal(*pair) for pair in zip(found, Tower()(images)))
    # The one image that was being computed is computed by both, all others once.
    assert seen == ['a', *'b' * 16]


def test_each_process_computes_missing_images_in_an_order_of_its_own(cache, tmp_path):
    images = torch.randn(16, 3, 4, 4)

    def order(folder):
        seen = []

        def compute(image):
            seen.append(float(image.sum()))
            return Tower()(image)

        before = random.getstate(), torch.random.get_rng_state()
        FeatureCache(folder, 1.0).features(images, 'a', compute)
        # The random numbers of a training stay the same.
        assert random.getstate() == before[0]
        assert torch.equal(torch.random.get_rng_state(), before[1])
        return seen

    first, second = order(tmp_path / 'one'), order(tmp_path / 'two')
    assert sorted(first) == sorted(second) and first != second


@pytest.mark.parametrize(
    ('images', 'name'),
    [
        (IMAGES.flip(3), 'a'),
        (IMAGES, 'b'),
        (IMAGES.double(), 'a'),
        (IMAGES.reshape(2, 3, 2, 8), 'a'),
    ],
    ids=['flipped', 'another tower', 'another dtype', 'another shape'],
)
def test_other_pixels_towers_dtypes_and_shapes_have_features_of_their_own(
    cache, tower, images, name
):
    cache.features(IMAGES, 'a', Tower())
    found = cache.features(images, name, tower)
    assert tower.seen == 2
    assert all(torch.equal(*pair) for pair in zip(found, Tower()(images)))


def test_each_image_is_computed_by_itself(cache):
    """Otherwise its last bits, and so a training, would depend on the batch."""

    def compute(images):
        assert images.shape == (1, 3, 4, 4)
        return Tower()(images)

    check(cache.features(IMAGES, 'a', compute))


@pytest.mark.reliability('fault', 'kept features of a frozen tower, damaged')
@pytest.mark.parametrize('damage', ['a bit', 'a type', 'cut short', 'empty'])
def test_damaged_features_are_computed_again_and_replaced(cache, tower, damage):
    cache.features(IMAGES, 'a', Tower())
    path, _ = cache.folder.iterdir()
    content = bytearray(path.read_bytes())
    if damage == 'a bit':
        content[-1] ^= 1
    elif damage == 'a type':
        content = content.replace(b'F32', b'I32')
    path.write_bytes({'cut short': content[:-8], 'empty': b''}.get(damage, content))
    check(another(cache).features(IMAGES, 'a', tower))
    assert tower.seen == 1
    # They were also replaced.
    check(another(cache).features(IMAGES, 'a', tower))
    assert tower.seen == 1


@pytest.mark.parametrize('obstacle', ['limit', 'file'])
def test_features_that_cannot_be_kept_are_computed_with_a_warning(
    tmp_path, tower, obstacle
):
    cache = FeatureCache(tmp_path / 'features', 1e-8 if obstacle == 'limit' else 1.0)
    if obstacle == 'file':
        cache.folder.write_text('not a folder')
    said = 'MCDRL_FEATURE_CACHE_GB' if obstacle == 'limit' else 'Not a directory|exists'
    with pytest.warns(UserWarning, match=said):
        check(cache.features(IMAGES, 'a', tower))
    check(cache.features(IMAGES, 'a', tower))
    assert tower.seen == 4


@pytest.mark.parametrize('look_every', [1, 1000])
def test_the_folder_grows_up_to_its_limit(tmp_path, tower, monkeypatch, look_every):
    monkeypatch.setattr(feature_cache, '_LOOK_EVERY', look_every)
    (tmp_path / 'of another version').write_bytes(bytes(1000))
    images = torch.randn(9, 3, 4, 4)
    with pytest.warns(UserWarning, match='it has reached 3e-06 GB'):
        FeatureCache(tmp_path, 3e-6).features(images, 'a', tower)
    written = list(tmp_path.glob('*.features'))
    size = sum(path.stat().st_size for path in written)
    assert 1000 < size <= 2000 and 1 < len(written) < 9


def test_a_folder_that_is_deleted_in_between_is_filled_again(cache, tower):
    cache.features(IMAGES, 'a', Tower())
    shutil.rmtree(cache.folder)
    for _ in range(2):
        check(cache.features(IMAGES, 'a', tower))
    assert tower.seen == 2


@pytest.mark.filterwarnings('error')
def test_a_file_that_disappears_meanwhile_does_not_prevent_writing(cache, tower):
    """Like that of another process, which gets its final name once it is complete."""
    cache.folder.mkdir()
    (cache.folder / '.a.1.partial.features').symlink_to('nowhere')
    cache.features(IMAGES, 'a', Tower())
    check(another(cache).features(IMAGES, 'a', tower))
    assert tower.seen == 0


@pytest.mark.parametrize('limit', ['0', '-1', 'nan', 'inf', 'much'])
def test_an_invalid_limit_in_the_environment_is_refused(monkeypatch, limit):
    monkeypatch.setenv('MCDRL_FEATURE_CACHE', 'features')
    monkeypatch.setenv('MCDRL_FEATURE_CACHE_GB', limit)
    with pytest.raises(ValueError, match=f'MCDRL_FEATURE_CACHE_GB={limit!r}'):
        FeatureCache.from_environment()


THIRD = torch.full((1, 3, 4, 4), 1 / 3)


def bytes_of(cache):
    return sum(file.stat().st_size for file in cache.folder.iterdir())


def test_half_precision_rounds_computed_features_like_stored_ones(tmp_path, tower):
    whole = FeatureCache(tmp_path / 'whole', 1.0)
    half = FeatureCache(tmp_path / 'half', 1.0, half=True)
    assert torch.equal(whole.features(THIRD, 'a', tower)[1], 2 * THIRD[:, :1])
    computed = half.features(THIRD, 'a', tower)
    read = FeatureCache(half.folder, 1.0, half=True).features(THIRD, 'a', Tower())
    for features in (computed, read):
        assert [part.dtype for part in features] == [torch.float32] * 2
        # 11 bits of 2 / 3.
        assert torch.equal(features[1], torch.full((1, 1, 4, 4), 1365 / 2048))
    assert tower.seen == 2
    wide = torch.ones(1, 3, 64, 64)
    for cache in (whole, half):
        cache.features(wide, 'b', tower)
    assert 0.5 < bytes_of(half) / bytes_of(whole) < 0.6


def test_features_of_another_precision_are_not_read(cache, tower):
    cache.features(THIRD, 'a', tower)
    FeatureCache(cache.folder, 1.0, half=True).features(THIRD, 'a', tower)
    assert tower.seen == 2


def test_features_beyond_half_precision_are_refused(tmp_path, tower):
    cache = FeatureCache(tmp_path / 'features', 1.0, half=True)
    with pytest.raises(
        FeaturesTooLargeError, match='is 66666, above the maximum of float16'
    ):
        cache.features(THIRD * 99999, 'a', tower)
    assert not cache.folder.exists()


@pytest.mark.parametrize(
    ('precision', 'half'), [(None, False), ('float32', False), ('float16', True)]
)
def test_the_precision_is_read_from_the_environment(monkeypatch, precision, half):
    monkeypatch.setenv('MCDRL_FEATURE_CACHE', 'features')
    if precision:
        monkeypatch.setenv('MCDRL_FEATURE_CACHE_PRECISION', precision)
    cache = FeatureCache.from_environment()
    assert cache.half is half
    assert pickle.loads(pickle.dumps(cache)).half is half


def test_an_invalid_precision_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv('MCDRL_FEATURE_CACHE', 'features')
    monkeypatch.setenv('MCDRL_FEATURE_CACHE_PRECISION', 'int8')
    with pytest.raises(ValueError, match="PRECISION='int8' must be one of"):
        FeatureCache.from_environment()


def test_a_pickled_copy_of_a_cache_reads_the_same_folder(cache, tower):
    cache.features(IMAGES, 'a', Tower())
    copied = pickle.loads(pickle.dumps(cache))
    check(copied.features(IMAGES, 'a', tower))
    assert tower.seen == 0 and copied.folder == cache.folder


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Builds backbones with a cache, whose towers record the images they process."""
    monkeypatch.setenv('MCDRL_FEATURE_CACHE', str(tmp_path / 'features'))

    def build(**arguments):
        torch.manual_seed(0)
        backbone = CLIPVisionBackbone('mcdrl-tiny-rn', **arguments).eval()
        backbone.seen = []
        backbone.tower.conv1.register_forward_pre_hook(
            lambda _, args: backbone.seen.append(len(args[0]))
        )
        return backbone

    return build


PICTURES = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_a_frozen_tower_processes_each_image_once(build, monkeypatch):
    backbone = build(frozen=True, out_indices=(1,))
    first, second = backbone(PICTURES), backbone(PICTURES)
    assert backbone.seen == [1, 1, 1]
    assert all(torch.equal(*pair) for pair in zip(first, second))
    monkeypatch.delenv('MCDRL_FEATURE_CACHE')
    plain = build(frozen=True, out_indices=(1,))(PICTURES)
    assert len(plain) == len(first) == 3
    for kept, computed in zip(first, plain):
        torch.testing.assert_close(kept, computed, rtol=1e-5, atol=1e-5)


def test_kept_features_have_the_memory_layout_of_the_tower(build):
    backbone = build(frozen=True, out_indices=(1,), channels_last=True)
    backbone(PICTURES)
    for feature in backbone(PICTURES):
        assert feature.is_contiguous(memory_format=torch.channels_last)
    assert backbone.seen == [1, 1, 1]


def test_the_next_run_reads_the_features_of_the_last_run(build):
    backbone = build(frozen=True)
    backbone(PICTURES)
    again = build(frozen=True)
    again(PICTURES)
    assert again.seen == []


@pytest.mark.parametrize(
    'change', [dict(out_indices=(1,)), dict(output_stride=16), dict(input_scale=0.5)]
)
def test_towers_with_other_settings_share_no_features(build, change):
    backbone = build(frozen=True)
    backbone(PICTURES)
    other = build(frozen=True, **change)
    other(PICTURES)
    assert len(other.seen) == 3


@pytest.mark.parametrize(
    'name', ['conv1.weight', 'bn1.running_mean', 'layer4.0.downsample.1.running_var']
)
def test_other_weights_have_features_of_their_own(build, name):
    backbone = build(frozen=True)
    before = backbone(PICTURES)
    with torch.no_grad():
        backbone.tower.state_dict()[name].add_(1)
    after = backbone(PICTURES)
    assert len(backbone.seen) == 6
    assert not torch.equal(before[0], after[0])


def test_a_tower_with_a_replaced_part_has_features_of_its_own(build):
    backbone = build(frozen=True)
    backbone(PICTURES)
    block = backbone.tower.layer4[0]
    block.conv3 = torch.nn.Conv2d(*block.conv3.weight.shape[1::-1], 1, bias=False)
    backbone(PICTURES)
    assert len(backbone.seen) == 6


@pytest.fixture
def other_code(monkeypatch):
    """Changes the code that computes features, or the version of a package."""

    def change(what, folder):
        if what == 'code':
            changed = folder / 'dense.py'
            changed.write_text('# Attention as in another commit.')
            monkeypatch.setattr(feature_cache, '_SOURCES', (changed,))
        else:
            monkeypatch.setattr(f'{what}.__version__', '99.0')
        feature_cache.code_digest.cache_clear()

    yield change
    feature_cache.code_digest.cache_clear()


@pytest.mark.parametrize('what', ['code', 'timm', 'open_clip'])
def test_features_of_other_code_or_library_versions_are_not_read(
    build, other_code, tmp_path, what
):
    backbone = build(frozen=True)
    backbone(PICTURES)
    other_code(what, tmp_path)
    later = build(frozen=True)
    later(PICTURES)
    assert later.seen == [1, 1, 1]


def test_the_listed_sources_include_the_code_that_computes_features():
    names = {path.name for path in feature_cache._SOURCES}
    assert {'clip_vision_backbone.py', 'dense.py', 'timm_tower.py'} < names


def test_features_of_a_trained_tower_are_never_kept(build):
    assert build().feature_cache is None
    assert build(frozen_stages=1).feature_cache is None


def test_gradients_reach_the_pixels_despite_kept_features(build):
    backbone = build(frozen=True)
    backbone(PICTURES)
    pixels = PICTURES.clone().requires_grad_()
    backbone(pixels)[0].sum().backward()
    assert pixels.grad.abs().sum() > 0


@pytest.mark.parametrize('how', ['jit.is_tracing', 'compiler.is_compiling'])
def test_a_recorded_graph_contains_the_tower(build, monkeypatch, how):
    backbone = build(frozen=True)
    backbone(PICTURES)
    monkeypatch.setattr(f'torch.{how}', lambda: True)
    backbone(PICTURES)
    assert backbone.seen == [1, 1, 1, 3]
