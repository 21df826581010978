import time

import torch
from timm.layers import trunc_normal_
from torch import nn

from mcdrl_mmseg.clip.meta_build import meta_build


def test_modules_have_their_shapes_and_no_values():
    with meta_build():
        layer = nn.Linear(3, 5)
        weight = trunc_normal_(layer.weight, std=0.1)
    assert weight is layer.weight and weight.is_meta
    assert {k: tuple(v.shape) for k, v in layer.state_dict().items()} == {
        'weight': (5, 3),
        'bias': (5,),
    }


def test_what_is_not_on_meta_is_computed():
    with meta_build():
        values = torch.ones(3, device='cpu').add_(1).mul_(2).clamp_(max=3)
    assert values.tolist() == [3, 3, 3]


def test_drawing_takes_no_time():
    """Some 5 ms each where a clamp is worked out."""

    def seconds(place) -> float:
        with place:
            weight = torch.empty(4, 4)
            begin = time.process_time()
            for _ in range(50):
                trunc_normal_(weight)
        return time.process_time() - begin

    assert seconds(meta_build()) < 0.5 * seconds(torch.device('meta'))
