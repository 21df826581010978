"""A wrapper has its predictor's settings, and ties unused outputs to the loss."""

import torch
from mmseg.registry import MODELS

from mcdrl_mmseg.models.decode_heads.predictor_wrapper import (
    PredictorWrapper,
    use_all_outputs,
)

FCN = dict(
    type='FCNHead',
    in_channels=4,
    channels=4,
    num_classes=2,
    out_channels=1,
    threshold=0.4,
    ignore_index=9,
    align_corners=True,
    norm_cfg=dict(type='BN'),
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
)


def test_a_wrapper_has_the_settings_of_its_predictor():
    wrapper = PredictorWrapper(FCN)
    assert wrapper.num_classes == 2
    assert wrapper.out_channels == 1
    assert wrapper.threshold == 0.4
    assert wrapper.ignore_index == 9
    assert wrapper.align_corners is True


def test_a_wrapper_of_a_predictor_without_a_threshold_has_none():
    @MODELS.register_module(name='HeadWithoutThreshold', force=True)
    class _Head(torch.nn.Module):
        pass

    assert PredictorWrapper(dict(type='HeadWithoutThreshold')).threshold is None


def test_outputs_without_a_loss_get_a_gradient_of_zero_and_change_nothing():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    losses = dict(acc=torch.tensor(50.0), loss_seg=(2 * used).sum())
    tied = use_all_outputs(losses, (unused, torch.ones(1)))
    assert tied['loss_seg'].item() == 4
    tied['loss_seg'].backward()
    assert used.grad.tolist() == [2, 2]
    assert unused.grad.tolist() == [0, 0, 0]


def test_outputs_whose_sum_exceeds_float16_leave_the_loss_finite():
    output = torch.full((2,), 60000, dtype=torch.float16, requires_grad=True)
    losses = use_all_outputs(dict(loss=torch.tensor(1.0)), (output,))
    assert losses['loss'].item() == 1


def test_unused_outputs_are_tied_to_a_single_loss_and_not_to_a_list_of_losses():
    output = torch.ones(2, requires_grad=True)
    listed, single = [torch.tensor(2.0)], torch.tensor(1.0)
    losses = use_all_outputs(dict(loss_levels=listed, loss_ce=single), (output,))
    assert losses['loss_levels'] is listed and losses['loss_ce'] == 1
    losses['loss_ce'].backward()
    assert torch.equal(output.grad, torch.zeros(2))
