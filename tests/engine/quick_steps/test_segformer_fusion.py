"""Stock SegformerHeads that fuse their levels first, for a training."""

import copy

import pytest
import torch
from mmseg.models.decode_heads import SegformerHead
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
    """Logits, gradients and statistics of a step of a copy."""
    head = copy.deepcopy(head).double().train()
    logits = head(maps)
    logits.square().mean().backward()
    return [logits, *(weight.grad for weight in head.parameters()), *head.buffers()]


def test_a_step_is_the_same_with_less_arithmetic(head, maps):
    usual, expected = count_flops(lambda: step(head, maps)), step(head, maps)
    with quick_segformer_fusion():
        own, found = count_flops(lambda: step(head, maps)), step(head, maps)
    assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert own < usual


@torch.no_grad()
def test_a_validation_predicts_as_a_test_to_the_last_bit(head, maps):
    maps = [level.float() for level in maps]
    expected = head.eval()(maps)
    with quick_segformer_fusion():
        assert torch.equal(head(maps), expected)


def test_after_the_block_it_is_mmsegs_again_also_after_an_error():
    stock = SegformerHead.forward
    with pytest.raises(KeyError), quick_segformer_fusion():
        assert SegformerHead.forward is not stock
        raise KeyError
    assert SegformerHead.forward is stock
