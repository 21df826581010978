"""Fused steps against torch's plain ones, and their state in checkpoints."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.testing import assert_close

from mcdrl_mmseg.engine.quick_steps.fused_adam import FusedAdamHook, use_fused_step


def trained(optimizer_class, steps: int = 5, fused: bool = False, **options):
    """Weights, and their optimizer, after some steps."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    optimizer = optimizer_class(net.parameters(), lr=0.01, **options)
    assert use_fused_step(optimizer) is fused
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(8, 6)).square().mean().backward()
        optimizer.step()
    return net, optimizer


@pytest.mark.parametrize('options', [{}, dict(amsgrad=True, weight_decay=0.1)])
@pytest.mark.parametrize('optimizer_class', [Adam, AdamW])
def test_weights_equal_those_of_plain_steps(optimizer_class, options, monkeypatch):
    found, optimizer = trained(optimizer_class, fused=True, **options)
    assert all(group['fused'] for group in optimizer.param_groups)
    expected, plain = trained(optimizer_class, foreach=False, **options)
    assert not any(group['fused'] for group in plain.param_groups)
    assert_close(found.state_dict(), expected.state_dict())


class _OwnAdam(Adam):
    """A subclass, which may have a step of its own."""


@pytest.mark.parametrize(
    ('optimizer_class', 'options'),
    [
        (SGD, {}),
        (_OwnAdam, {}),
        (Adam, dict(foreach=True)),
        (Adam, dict(fused=False)),
        (Adam, dict(differentiable=True)),
    ],
    ids=['SGD', 'subclass', 'foreach', 'not fused', 'differentiable'],
)
def test_other_optimizers_and_explicit_choices_are_left_alone(optimizer_class, options):
    optimizer = optimizer_class([torch.zeros(1, requires_grad=True)], lr=1, **options)
    before = copy.deepcopy(optimizer.param_groups[0])
    assert not use_fused_step(optimizer)
    assert optimizer.param_groups[0] == before


def test_either_all_parameter_groups_are_fused_or_none():
    weights = [torch.zeros(1, requires_grad=True, dtype=dtype) for dtype in _TYPES]
    optimizer = Adam([dict(params=[weight]) for weight in weights])
    assert not use_fused_step(optimizer)
    assert [group['fused'] for group in optimizer.param_groups] == [None, None]


_TYPES = (torch.float32, torch.bfloat16)


def wrapped(optimizer: Optimizer, several: bool) -> OptimWrapper | OptimWrapperDict:
    wrapper = OptimWrapper(optimizer)
    if not several:
        return wrapper
    plain = SGD([torch.zeros(1, requires_grad=True)], lr=1)
    return OptimWrapperDict(net=wrapper, other=OptimWrapper(plain))


@pytest.mark.parametrize('several', [False, True])
def test_a_checkpoint_equals_that_of_plain_steps(several):
    optimizer = Adam([torch.zeros(2, requires_grad=True)])
    runner = SimpleNamespace(optim_wrapper=wrapped(optimizer, several))
    plain = copy.deepcopy(runner.optim_wrapper.state_dict())
    hook = FusedAdamHook()
    hook.before_train(runner)
    assert optimizer.param_groups[0]['fused'] is True
    checkpoint = dict(optimizer=runner.optim_wrapper.state_dict())
    hook.before_save_checkpoint(runner, checkpoint)
    assert checkpoint['optimizer'] == plain
    # The optimizer itself is still fused.
    assert optimizer.param_groups[0]['fused'] is True


def test_a_choice_of_the_user_stays_in_the_checkpoint():
    optimizer = Adam([torch.zeros(2, requires_grad=True)], fused=True)
    runner = SimpleNamespace(optim_wrapper=OptimWrapper(optimizer))
    hook = FusedAdamHook()
    hook.before_train(runner)
    checkpoint = dict(optimizer=runner.optim_wrapper.state_dict())
    hook.before_save_checkpoint(runner, checkpoint)
    assert checkpoint['optimizer']['param_groups'][0]['fused'] is True


def test_a_checkpoint_without_optimizer_is_not_changed():
    optimizer = Adam([torch.zeros(2, requires_grad=True)])
    runner = SimpleNamespace(optim_wrapper=OptimWrapper(optimizer))
    hook = FusedAdamHook()
    hook.before_train(runner)
    checkpoint = dict(state_dict={})
    hook.before_save_checkpoint(runner, checkpoint)
    assert checkpoint == dict(state_dict={})


def test_resumed_steps_equal_uninterrupted_ones():
    whole, _ = trained(AdamW, steps=4, fused=True)
    net, optimizer = trained(AdamW, steps=2, fused=True)
    state = copy.deepcopy(optimizer.state_dict())
    for group in state['param_groups']:
        group['fused'] = None
    random = torch.get_rng_state()
    resumed = AdamW(net.parameters(), lr=0.01)
    resumed.load_state_dict(state)
    assert use_fused_step(resumed)
    torch.set_rng_state(random)
    for _ in range(2):
        resumed.zero_grad()
        net(torch.randn(8, 6)).square().mean().backward()
        resumed.step()
    for name, weight in whole.state_dict().items():
        assert torch.equal(net.state_dict()[name], weight), name


def test_a_torch_without_the_fused_kernel_keeps_plain_steps(monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError('`fused=True` requires all the params to be on a GPU')

    monkeypatch.setattr('mcdrl_mmseg.engine.quick_steps.fused_adam.Adam', refuse)
    assert not use_fused_step(AdamW([torch.zeros(1, requires_grad=True)]))
