"""FoldedSegformerHead against MMSegmentation's own."""

import copy

import pytest
import torch
from mmseg.models.decode_heads import SegformerHead
from torch import nn
from torch.nn.utils import prune
from torch.testing import assert_close

from mcdrl_lab.benchmarks.counting import count_flops
from mcdrl_mmseg.models import FoldedSegformerHead

COMMON = dict(
    in_channels=[5, 6, 7],
    in_index=[0, 2, 1],
    channels=8,
    num_classes=3,
    norm_cfg=dict(type='BN', requires_grad=True),
    align_corners=False,
)
SIZES = {'square': [(12, 12), (3, 3), (6, 6)], 'odd': [(11, 7), (3, 2), (6, 4)]}


def settled(head: nn.Module) -> nn.Module:
    """Gives norms statistics and weights that matter, as after a training."""
    generator = torch.Generator().manual_seed(1)
    for module in head.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            for parameter in module.parameters():
                parameter.data.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return head.eval()


def pair(**changes) -> tuple[SegformerHead, FoldedSegformerHead]:
    """A stock head and a folded one with its weights."""
    torch.manual_seed(0)
    stock = settled(SegformerHead(**{**COMMON, **changes}))
    folded = FoldedSegformerHead(**{**COMMON, **changes}).eval()
    folded.load_state_dict(stock.state_dict())
    return stock, folded


def maps(sizes: str = 'square', **kwargs) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    widths = [COMMON['in_channels'][n] for n in (0, 2, 1)]
    shapes = zip(widths, SIZES[sizes])
    return tuple(
        torch.randn(2, width, *size, generator=generator).to(**kwargs)
        for width, size in shapes
    )


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'align_corners': True},
        {'interpolate_mode': 'nearest', 'align_corners': None},
        {'act_cfg': dict(type='GELU')},
        {'norm_cfg': dict(type='BN', affine=False)},
    ],
)
@torch.no_grad()
def test_inference_equals_that_of_the_stock_head(changes, sizes):
    stock, folded = pair(**changes)
    inputs = maps(sizes, dtype=torch.float64)
    assert_close(folded.double()(inputs), stock.double()(inputs), rtol=0, atol=1e-12)
    inputs = maps(sizes)
    assert_close(folded.float()(inputs), stock.float()(inputs), rtol=0, atol=2e-5)


@torch.no_grad()
def test_inference_on_a_single_level_equals_that_of_the_stock_head():
    stock, folded = pair(in_channels=[5], in_index=[0])
    inputs = maps(dtype=torch.float64)
    assert_close(folded.double()(inputs), stock.double()(inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ('setting', 'tolerance'), [(torch.channels_last, 2e-5), (torch.bfloat16, 0.05)]
)
@torch.no_grad()
def test_results_stay_close_with_channels_last_and_mixed_precision(setting, tolerance):
    stock, folded = pair()
    expected = stock(maps())
    amp = setting is torch.bfloat16
    with torch.autocast('cpu', torch.bfloat16, enabled=amp):
        inputs = maps() if amp else maps(memory_format=setting)
        result = folded(inputs)
    assert result.dtype == (torch.bfloat16 if amp else torch.float32)
    assert result.is_contiguous()
    assert (result.float() - expected).abs().mean() < tolerance * expected.std()


def test_inference_on_four_levels_takes_less_than_half_of_the_operations():
    widths, sides = [24, 40, 112, 256], [40, 20, 10, 5]
    stock, folded = pair(in_channels=widths, in_index=[0, 1, 2, 3], channels=64)
    inputs = tuple(torch.randn(1, c, n, n) for c, n in zip(widths, sides))
    with torch.no_grad():
        expected = stock(inputs)
        assert_close(folded(inputs), expected, rtol=1e-4, atol=1e-4)
        own, usual = (
            count_flops(lambda head=head: head(inputs)) for head in (folded, stock)
        )
    assert own < usual / 2


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('mode', [True, False], ids=['training', 'evaluation'])
def test_logits_gradients_and_buffers_equal_those_of_the_stock_head(mode, sizes):
    stock, folded = (head.double().train(mode) for head in pair())
    inputs, results = maps(sizes, dtype=torch.float64), []
    for head in (stock, folded):
        head.dropout = None
        levels = [level.clone().requires_grad_() for level in inputs]
        logits = head(levels)
        logits.square().mean().backward()
        gradients = [each.grad for each in (*levels, *head.parameters())]
        results.append([logits, *gradients, *head.buffers()])
    assert_close(*results, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('name', ['fusion_conv', 'fusion_conv.conv'])
@pytest.mark.parametrize(
    'register', ['register_forward_hook', 'register_full_backward_hook']
)
def test_hooks_on_the_fusing_convolution_are_called_with_gradients(name, register):
    _, folded = pair()
    calls = []
    getattr(folded.get_submodule(name), register)(lambda *_: calls.append(1))
    folded(maps()).square().mean().backward()
    assert calls == [1]


def test_a_training_step_takes_less_than_half_of_the_operations():
    widths, sides = [24, 40, 112, 256], [40, 20, 10, 5]
    heads = pair(in_channels=widths, in_index=[0, 1, 2, 3], channels=64)
    inputs = tuple(torch.randn(2, c, n, n) for c, n in zip(widths, sides))
    usual, own = (
        count_flops(lambda head=head: head.train()(inputs).square().mean().backward())
        for head in heads
    )
    assert own < usual / 2


def test_weight_names_are_those_of_the_stock_head():
    stock, folded = pair()
    with torch.no_grad():
        folded(maps())
    assert folded.state_dict().keys() == stock.state_dict().keys()
    assert (
        dict(folded.named_parameters()).keys() == dict(stock.named_parameters()).keys()
    )


def write_through_data_and_change_the_mode(head):
    head.convs[0].conv.weight.data.mul_(3)
    head.train().eval()


def take_a_step(head):
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    with torch.enable_grad():
        head(maps()).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def train_on_a_batch(head):
    head.train()(maps())
    head.eval()


CHANGES = {
    'weights loaded': lambda head: head.load_state_dict(
        {k: v * 1.5 for k, v in head.state_dict().items()}
    ),
    'step': take_a_step,
    'statistics': train_on_a_batch,
    'write to a norm': lambda head: head.convs[1].bn.running_mean.add_(1),
    'write to fusion': lambda head: head.fusion_conv.conv.weight.mul_(2),
    'weights replaced': lambda head: setattr(
        head.fusion_conv.bn, 'bias', nn.Parameter(torch.ones(8))
    ),
    'mode': write_through_data_and_change_the_mode,
    'dtype': lambda head: head.half().float(),
}


@pytest.mark.parametrize('change', CHANGES)
@torch.no_grad()
def test_a_change_of_the_weights_is_noticed(change):
    stock, folded = pair()
    before = folded(maps())
    CHANGES[change](folded)
    after = folded(maps())
    stock.load_state_dict(folded.state_dict())
    assert_close(after, stock(maps()), rtol=1e-5, atol=2e-5)
    assert not torch.equal(after, before)


@torch.no_grad()
def test_weights_are_folded_once(monkeypatch):
    _, folded = pair()
    folds = []
    fold = folded._fold
    monkeypatch.setattr(folded, '_fold', lambda: folds.append(1) or fold())
    results = [folded(maps()) for _ in range(3)]
    assert len(folds) == 1
    assert torch.equal(results[0], results[2])


@torch.no_grad()
def test_a_copy_folds_its_own_weights():
    _, folded = pair()
    before = folded(maps())
    other = copy.deepcopy(folded)
    other.fusion_conv.conv.weight.mul_(2)
    assert not torch.equal(other(maps()), before)
    assert torch.equal(folded(maps()), before)


@torch.no_grad()
def test_norms_in_training_mode_use_the_statistics_of_the_maps():
    stock, folded = pair()
    before = folded(maps())
    for head in (stock, folded):
        for module in head.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train()
    after = folded(maps())
    assert torch.equal(after, stock(maps()))
    assert not torch.allclose(after, before, atol=1e-2)
    assert_close(folded.eval()(maps()), stock.eval()(maps()), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize('name', ['convs.0', 'convs.1.conv', 'fusion_conv'])
@torch.no_grad()
def test_hooks_are_called_in_inference(name):
    stock, folded = pair()
    seen = []
    part = folded.get_submodule(name)
    handle = part.register_forward_hook(lambda *_: seen.append(1))
    assert torch.equal(folded(maps()), stock(maps()))
    handle.remove()
    assert_close(folded(maps()), stock(maps()), rtol=1e-5, atol=2e-5)
    assert len(seen) == 1


@torch.no_grad()
def test_inference_uses_the_weights_loaded_into_a_pruned_head():
    _, folded = pair()
    prune.random_unstructured(folded.fusion_conv.conv, 'weight', amount=0.5)
    before = folded(maps())
    key = 'fusion_conv.conv.weight_orig'
    folded.load_state_dict({**folded.state_dict(), key: 2 * folded.state_dict()[key]})
    with torch.enable_grad():
        expected = folded(maps()).detach()
    assert_close(folded(maps()), expected, rtol=1e-5, atol=2e-5)
    assert not torch.allclose(expected, before, atol=1e-2)


@torch.no_grad()
def test_a_compiled_head_equals_the_stock_head_without_graph_breaks():
    stock, folded = pair()
    compiled = torch.compile(folded, backend='eager', fullgraph=True)
    assert torch.equal(compiled(maps()), stock(maps()))


@pytest.mark.parametrize('norm', [None, dict(type='GN', num_groups=2)])
def test_a_norm_without_running_statistics_is_an_error(norm):
    with pytest.raises(ValueError, match=r'FoldedSegformerHead: norm_cfg=.*BN'):
        FoldedSegformerHead(**{**COMMON, 'norm_cfg': norm})
