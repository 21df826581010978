import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mcdrl_mmseg.engine.optimizers import BFloat16OptimWrapper


def test_the_bfloat16_wrapper_runs_the_forward_pass_in_bfloat16():
    init_default_scope('mmseg')
    model = nn.Module()
    model.layer = nn.Linear(2, 1)
    wrapper = build_optim_wrapper(
        model,
        dict(type='BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
    )
    assert isinstance(wrapper, BFloat16OptimWrapper)
    before = model.layer.weight.detach().clone()
    with wrapper.optim_context(model):
        output = model.layer(torch.ones(3, 2))
    assert output.dtype == torch.bfloat16
    wrapper.update_params(output.float().sum())
    # d(sum)/dw is 3 for each weight, and the step is in single precision.
    assert model.layer.weight.dtype == torch.float32
    torch.testing.assert_close(model.layer.weight, before - 0.1 * 3)
    assert model.layer(torch.ones(1, 2)).dtype == torch.float32


def test_the_bfloat16_wrapper_saves_the_same_state_as_the_plain_one():
    states = []
    for kind in ('OptimWrapper', 'BFloat16OptimWrapper'):
        cfg = dict(type=kind, optimizer=dict(type='AdamW', lr=0.1))
        states.append(build_optim_wrapper(nn.Linear(2, 1), cfg).state_dict())
    assert states[0] == states[1]
