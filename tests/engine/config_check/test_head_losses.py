import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.models.losses import HuasdorffDisstanceLoss
from torch.nn.functional import one_hot

from mcdrl_mmseg.engine.config_check import find_problems


@pytest.mark.parametrize(('channels', 'refused'), [(2, False), (3, True)])
def test_the_hausdorff_loss_of_mmseg_is_for_two_classes(shipped, channels, refused):
    init_default_scope('mmseg')
    cfg = shipped('mcdrl')
    predictor = cfg.model.decode_head.predictor
    predictor.num_classes = channels
    predictor.loss_decode = [
        dict(type='CrossEntropyLoss'),
        dict(type='HuasdorffDisstanceLoss'),
    ]
    found = [each for each in find_problems(cfg) if 'loss_decode[1]' in each.place]
    assert bool(found) is refused
    assert all('a perfect map has a higher loss' in each.what for each in found)


def test_it_still_is():
    """Else the rule is to go."""
    truth = torch.zeros(1, 16, 16, dtype=torch.long)
    truth[:, 2:6, 2:6], truth[:, 10:14, 10:14] = 1, 2

    def loss(found):
        logits = 40.0 * one_hot(found, 3).permute(0, 3, 1, 2)
        return float(HuasdorffDisstanceLoss()(logits, truth))

    assert loss(truth) > loss(torch.zeros_like(truth))
