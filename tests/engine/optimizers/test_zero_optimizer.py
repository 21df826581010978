from types import SimpleNamespace

import pytest
import torch

from mcdrl_mmseg.engine.optimizers import ZeroCheckpointHook


def test_the_checkpoint_hook_refuses_another_optimizer_by_name():
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    runner = SimpleNamespace(optim_wrapper=SimpleNamespace(optimizer=optimizer))
    with pytest.raises(ValueError, match="type='ZeroOptimizer', got AdamW"):
        ZeroCheckpointHook().before_train(runner)
