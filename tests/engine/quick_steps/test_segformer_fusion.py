"""Stock SegformerHeads that fuse their levels first, for a training."""

import copy

import pytest
import torch
from mmseg.models.decode_heads import SegformerHead
from torch.nn.utils import prune
from torch.testing import assert_close

from mcdrl_lab.benchmarks.counting import count_flops
from mcdrl_mmseg.engine.quick_steps.segformer_fusion import quick_segformer_fusion

WIDTHS, SIDES = (5, 6, 7), (12, 6, 3)


@pytest.fixture(params=[dict(type='BN'), dict(type='GN', num_groups=2), None], ids=str)
def head(request) -> SegformerHead:
    torch.manual_seed(0)
    return SegformerHead(
        in_channels=list(WIDTHS),
        in_index=[0, 1, 2],
        channels=8,
        num_classes=3,
        dropout_ratio=0,
        norm_cfg=request.param,
        align_corners=False,
    )


@pytest.fixture
def maps() -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(2, c, n, n, dtype=torch.float64) for c, n in zip(WIDTHS, SIDES)]


def step(head: SegformerHead, maps: list[torch.Tensor]) -> list[torch.Tensor]:
    """Logits, gradients and statistics after one step of a copy."""
    head = copy.deepcopy(head).double().train()
    logits = head(maps)
    logits.square().mean().backward()
    return [logits, *(weight.grad for weight in head.parameters()), *head.buffers()]


def test_a_step_has_the_same_result_with_fewer_operations(head, maps):
    usual, expected = count_flops(lambda: step(head, maps)), step(head, maps)
    with quick_segformer_fusion():
        own, found = count_flops(lambda: step(head, maps)), step(head, maps)
    assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert own < usual


@torch.no_grad()
def test_a_validation_predicts_the_same_as_a_test_to_the_last_bit(head, maps):
    maps = [level.float() for level in maps]
    expected = head.eval()(maps)
    with quick_segformer_fusion():
        assert torch.equal(head(maps), expected)


class _WiderFusion(SegformerHead):
    """Fuses three by three positions, with the inherited forward pass."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.fusion_conv.conv = torch.nn.Conv2d(24, 8, 3, padding=1)


def test_a_subclass_keeps_its_own_result(maps):
    torch.manual_seed(0)
    head = _WiderFusion(
        in_channels=list(WIDTHS),
        in_index=[0, 1, 2],
        channels=8,
        num_classes=3,
        dropout_ratio=0,
        norm_cfg=dict(type='BN'),
        align_corners=False,
    )
    expected = step(head, maps)
    with quick_segformer_fusion():
        assert_close(step(head, maps), expected, rtol=0, atol=0)


def test_a_pruned_convolution_uses_the_weight_that_its_hook_computes(head, maps):
    head.double().train()
    prune.random_unstructured(head.fusion_conv.conv, 'weight', amount=0.5)
    # As after a step: the stored weight is out of date.
    head.fusion_conv.conv.weight_orig.data.normal_()
    with quick_segformer_fusion():
        found = head(maps)
    assert torch.equal(found, head(maps))


def test_the_forward_pass_of_mmseg_is_restored_even_after_an_error():
    stock = SegformerHead.forward
    with pytest.raises(KeyError), quick_segformer_fusion():
        assert SegformerHead.forward is not stock
        raise KeyError
    assert SegformerHead.forward is stock
