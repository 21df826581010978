import pytest
import torch
from timm.layers import trunc_normal_
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mcdrl_mmseg.clip.meta_build import meta_build


class Recorder(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


INITIALISERS = [
    trunc_normal_,
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.uniform_,
    nn.init.zeros_,
    lambda weight: nn.init.constant_(weight, 0.5),
]


def drawing_operations(place, initialise) -> list[str]:
    with place:
        weight = torch.empty(4, 4)
        with Recorder() as recorder:
            found = initialise(weight)
    assert found is weight
    return recorder.names


def test_modules_built_on_meta_have_shapes_but_no_values():
    with meta_build():
        layer = nn.Linear(3, 5)
        weight = trunc_normal_(layer.weight, std=0.1)
    assert weight is layer.weight and weight.is_meta
    assert {k: tuple(v.shape) for k, v in layer.state_dict().items()} == {
        'weight': (5, 3),
        'bias': (5,),
    }


def test_tensors_on_the_cpu_are_computed_as_usual():
    with meta_build():
        values = torch.ones(3, device='cpu').add_(1).mul_(2).clamp_(max=3)
    assert values.tolist() == [3, 3, 3]
    with meta_build():
        values = nn.init.constant_(torch.ones(3, device='cpu'), 2)
    assert values.tolist() == [2, 2, 2]


@pytest.mark.parametrize('initialise', INITIALISERS)
def test_initialisers_compute_nothing_for_meta_weights(initialise):
    assert drawing_operations(meta_build(), initialise) == []
    assert drawing_operations(torch.device('meta'), initialise)
