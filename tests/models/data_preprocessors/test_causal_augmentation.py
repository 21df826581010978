import pytest
import torch
from mmseg.registry import MODELS
from torch.testing import assert_close

from mcdrl_mmseg.models.data_preprocessors import blending_maps, random_networks


def augmentation(**values):
    return MODELS.build(dict(type='CausalAugmentation', **values))


@pytest.fixture
def images():
    return torch.randn(3, 3, 48, 64, generator=torch.Generator().manual_seed(3))


def test_the_result_blends_two_changed_versions_by_the_map(images, monkeypatch):
    blending = torch.rand(3, 1, 48, 64)
    monkeypatch.setattr(blending_maps, 'draw_blending_maps', lambda *_: blending)
    augment = augmentation()
    torch.manual_seed(0)
    changed = augment.change_intensities(images.repeat(2, 1, 1, 1))
    torch.manual_seed(0)
    found = augment(images)
    expected = changed[:3] * blending + changed[3:] * (1 - blending)
    assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_every_changed_version_of_an_image_is_different():
    image = torch.randn(1, 3, 16, 16).repeat(4, 1, 1, 1)
    torch.manual_seed(0)
    changed = augmentation().change_intensities(image)
    for i in range(4):
        for j in range(i):
            assert (changed[i] - changed[j]).abs().mean() > 0.05


def test_every_changed_version_has_a_mixing_share_of_its_own(images, monkeypatch):
    shares = []
    monkeypatch.setattr(
        random_networks,
        'mix_and_rescale',
        lambda images, changed, alpha: shares.extend(alpha.flatten().tolist()),
    )
    augmentation().change_intensities(images.repeat(50, 1, 1, 1))
    assert len(set(shares)) == 150
    assert 0 <= min(shares) < 0.1 < 0.9 < max(shares) <= 1


def test_changed_images_keep_their_energy(images):
    changed = augmentation().change_intensities(images)
    assert_close(changed.flatten(1).norm(dim=1), images.flatten(1).norm(dim=1))


def test_the_result_depends_on_the_seed_and_the_input_is_not_changed(images):
    augment = augmentation()
    before = images.clone()
    torch.manual_seed(1)
    one = augment(images)
    torch.manual_seed(1)
    same = augment(images)
    other = augment(images)
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)
    assert torch.equal(images, before)


def test_the_result_of_an_image_does_not_depend_on_the_values_of_other_images(images):
    augment = augmentation()
    torch.manual_seed(1)
    one = augment(images)
    images[0] = images[0] * 100 + 7
    torch.manual_seed(1)
    assert_close(augment(images)[1:], one[1:])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_images_are_augmented_in_single_precision(images, dtype):
    augment = augmentation()
    torch.manual_seed(1)
    exact = augment(images.to(dtype).float())
    torch.manual_seed(1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = augment((images).to(dtype))
    assert half.dtype == dtype
    assert half.isfinite().all()
    assert_close(half.float(), exact, atol=0.05, rtol=0.05)


def test_no_gradient_is_recorded(images):
    assert not augmentation()(images.requires_grad_()).requires_grad


@pytest.mark.parametrize('key', ['num_layers', 'hidden_channels', 'spacing'])
def test_numbers_below_one_are_refused(key):
    with pytest.raises(ValueError, match=f'{key}=0'):
        augmentation(**{key: 0})
