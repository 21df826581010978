"""CLIPVisionBackbone folds a tower's batch norms in inference, and only there."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.testing import assert_close

from mcdrl_mmseg.clip import folded_tower
from mcdrl_mmseg.models import CLIPVisionBackbone

NAMES = ('mcdrl-endo-lite0', 'mcdrl-tiny-rn')
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def build(name: str = NAMES[0], seed: int = 0, **kwargs) -> CLIPVisionBackbone:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    backbone = CLIPVisionBackbone(
        name, dense_mode='vanilla', out_indices=(1, 2), channels_last=True, **kwargs
    )
    for module in backbone.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
    return backbone.eval()


@torch.no_grad()
def infer(backbone: nn.Module, images: torch.Tensor = IMAGES) -> list[torch.Tensor]:
    return list(backbone(images))


def unfolded(backbone: nn.Module, images: torch.Tensor = IMAGES) -> list[torch.Tensor]:
    """With gradients on, the tower itself runs and not its folded copy."""
    return [feature.detach() for feature in backbone(images)]


@pytest.fixture
def folds(monkeypatch) -> list:
    """One entry each time a tower is folded."""
    fold, calls = folded_tower.fold_norms, []

    def counted(tower: nn.Module) -> nn.Module:
        calls.append(tower)
        return fold(tower)

    monkeypatch.setattr(folded_tower, 'fold_norms', counted)
    return calls


@pytest.mark.parametrize('name', NAMES)
def test_folded_inference_gives_the_features_of_the_tower(name, folds):
    backbone, images = build(name).double(), IMAGES.double()
    for result, expected in zip(
        infer(backbone, images), unfolded(backbone, images), strict=True
    ):
        assert result.stride() == expected.stride()
        assert_close(result, expected, rtol=1e-10, atol=1e-12)
    assert len(folds) == 1


def test_folded_inference_in_float32_agrees_within_rounding():
    backbone = build()
    for result, expected in zip(infer(backbone), unfolded(backbone), strict=True):
        assert (result - expected).abs().max() < 1e-5 * expected.abs().max()


def test_weights_are_folded_once(folds):
    backbone = build()
    first, second = infer(backbone), infer(backbone)
    assert len(folds) == 1
    assert all(torch.equal(*pair) for pair in zip(first, second))


def test_a_change_of_the_memory_layout_folds_the_weights_again(folds):
    backbone = build()
    infer(backbone)
    infer(backbone.to(memory_format=torch.contiguous_format))
    assert len(folds) == 2


def test_a_tower_is_not_folded_in_training_mode_or_with_gradients(folds):
    backbone = build(frozen=True).train()
    infer(backbone)
    backbone.eval()(IMAGES)
    assert not folds


def test_a_traced_or_compiled_tower_is_not_folded(folds):
    backbone = build()
    with torch.no_grad():
        torch.jit.trace(backbone, IMAGES, check_trace=False)
        torch.compile(backbone, backend='eager')(IMAGES)
    assert not folds


def test_a_vision_transformer_is_not_folded(folds):
    backbone = CLIPVisionBackbone('mcdrl-tiny-vit').eval()
    infer(backbone)
    assert not folds


@pytest.fixture
def kept_in(tmp_path, monkeypatch):
    """Where a frozen tower's features are kept."""
    monkeypatch.setenv('MCDRL_FEATURE_CACHE', str(tmp_path))
    return tmp_path


def test_kept_features_come_from_the_folded_tower_also_in_training(
    folds, kept_in, monkeypatch
):
    in_training = build(frozen=True).train()(IMAGES)
    assert len(folds) == 1
    monkeypatch.setenv('MCDRL_FEATURE_CACHE', str(kept_in / 'empty'))
    one_by_one = [infer(build(frozen=True), image) for image in IMAGES.split(1)]
    monkeypatch.delenv('MCDRL_FEATURE_CACHE')
    not_kept = [infer(build(frozen=True), image) for image in IMAGES.split(1)]
    for singles in (one_by_one, not_kept):
        joined = [torch.cat(parts) for parts in zip(*singles)]
        assert all(torch.equal(*pair) for pair in zip(in_training, joined, strict=True))


def test_a_head_on_kept_features_gets_gradients(kept_in):
    backbone, head = build(frozen=True).train(), nn.Conv2d(24, 2, 1)
    head(backbone(IMAGES)[0]).sum().backward()
    assert head.weight.grad.abs().sum() > 0


def test_kept_features_of_a_tower_with_hooks_come_from_the_unfolded_tower(
    folds, kept_in
):
    backbone, seen = build(frozen=True).train(), []
    hook = backbone.tower.trunk.bn1.register_forward_hook(lambda *_: seen.append(1))
    backbone(IMAGES)
    assert (len(seen), len(folds)) == (len(IMAGES), 0)
    # Those of the folded tower differ in their last digits, and have other names.
    hook.remove()
    backbone(IMAGES)
    assert len(folds) == 1


def test_a_tower_created_in_inference_mode_is_not_folded(folds):
    with torch.inference_mode():
        backbone = build()
        infer(backbone)
    infer(backbone)
    assert not folds


def test_inference_mode_and_no_grad_share_the_folded_weights(folds):
    backbone = build()
    with torch.inference_mode():
        first = backbone(IMAGES)
    assert all(torch.equal(*pair) for pair in zip(first, infer(backbone)))
    assert len(folds) == 1


def test_folding_does_not_change_the_state_dict():
    backbone = build()
    before = copy.deepcopy(backbone.state_dict())
    infer(backbone)
    after = backbone.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert len(list(backbone.parameters())) == len(list(build().parameters()))


def write_through_data_and_change_the_mode(backbone):
    backbone.tower.trunk.conv_stem.weight.data.mul_(3)
    backbone.train().eval()


def take_a_step(backbone):
    optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1)
    backbone(IMAGES)[-1].square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def train_on_a_batch(backbone):
    backbone.train()(IMAGES)
    backbone.eval()


@torch.no_grad()
def write_to_a_norm(backbone):
    backbone.tower.trunk.blocks[3][1].bn2.running_var.mul_(4)


def replace_the_projection(backbone):
    linear = backbone.tower.head.proj
    linear.weight = nn.Parameter(2 * linear.weight.detach())


def replace_a_norm(backbone):
    norm = backbone.tower.trunk.bn1
    norm.weight = nn.Parameter(2 * norm.weight.detach())


CHANGES = {
    'weights loaded': lambda backbone: backbone.load_state_dict(
        build(seed=1).state_dict()
    ),
    'tower loaded': lambda backbone: backbone.tower.load_state_dict(
        build(seed=1).tower.state_dict()
    ),
    'step': take_a_step,
    'statistics': train_on_a_batch,
    'write to a norm': write_to_a_norm,
    'norm': replace_a_norm,
    'projection': replace_the_projection,
    'mode': write_through_data_and_change_the_mode,
    'dtype': lambda backbone: backbone.bfloat16().float(),
}


@pytest.mark.parametrize('change', CHANGES)
def test_a_change_of_the_weights_is_noticed(change):
    backbone = build()
    before = infer(backbone)
    CHANGES[change](backbone)
    after = infer(backbone)
    for result, expected in zip(after, unfolded(backbone), strict=True):
        assert (result - expected).abs().max() < 1e-5 * expected.abs().max()
    assert not torch.equal(after[-1], before[-1])


@pytest.mark.parametrize(
    'copied', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_folds_its_own_weights(copied):
    backbone = build()
    before = infer(backbone)
    other = copied(backbone)
    with torch.no_grad():
        other.tower.trunk.conv_stem.weight.mul_(2)
    result, expected = infer(other)[-1], unfolded(other)[-1]
    assert (result - expected).abs().max() < 1e-5 * expected.abs().max()
    assert not torch.equal(result, before[-1])
    assert torch.equal(infer(backbone)[-1], before[-1])


@pytest.mark.parametrize('kind', ['register_forward_hook', 'register_forward_pre_hook'])
def test_hooks_on_parts_of_the_tower_are_called_and_their_removal_is_noticed(
    kind, folds
):
    backbone = build()
    expected = infer(backbone)
    calls = []
    part = backbone.tower.trunk.blocks[1]
    handle = getattr(part, kind)(lambda *_: calls.append(1))
    assert_close(infer(backbone), expected, rtol=1e-3, atol=1e-4)
    assert len(calls) == 1
    handle.remove()
    infer(backbone)
    assert (len(calls), len(folds)) == (1, 1)


def test_a_replaced_part_of_the_tower_is_noticed():
    backbone = build()
    infer(backbone)
    backbone.tower.trunk.blocks[2] = copy.deepcopy(backbone.tower.trunk.blocks[2])
    with torch.no_grad():
        backbone.tower.trunk.blocks[2][0].bn1.weight.mul_(2)
    assert_close(infer(backbone), unfolded(backbone), rtol=1e-3, atol=1e-4)
    backbone.tower = build(seed=1).tower
    assert_close(infer(backbone), unfolded(backbone), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def adapt(backbone):
    """Put only the norms into training mode, to use the statistics of their images."""
    for module in backbone.modules():
        if isinstance(module, _BatchNorm):
            module.train()


@pytest.mark.parametrize('name', NAMES)
def test_norms_in_training_mode_use_the_statistics_of_the_images(name, folds):
    """As in test-time adaptation, with the model itself in evaluation."""
    backbone = build(name)
    before = infer(backbone)
    adapt(backbone)
    after = infer(backbone)
    for result, expected in zip(after, unfolded(backbone), strict=True):
        assert (result - expected).abs().max() < 1e-4 * expected.abs().max()
    assert (after[-1] - before[-1]).abs().max() > 0.1 * before[-1].abs().max()
    assert len(folds) == 1
    # The images changed the running statistics, which evaluation uses again.
    assert not torch.equal(infer(backbone.eval())[-1], before[-1])


def test_features_computed_with_norms_in_training_mode_are_not_kept(kept_in):
    backbone = build(frozen=True)
    adapt(backbone)
    infer(backbone)
    assert not list(kept_in.iterdir())
    expected = unfolded(backbone.eval())
    assert_close(infer(backbone), expected, rtol=1e-3, atol=1e-4)
    assert len(list(kept_in.iterdir())) == len(IMAGES)
