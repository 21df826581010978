import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.models.losses import CrossEntropyLoss, HuasdorffDisstanceLoss
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


@pytest.mark.parametrize(
    ('options', 'refused'),
    [
        (dict(class_weight=[1.0, 2.0], avg_non_ignore=True), True),
        (dict(class_weight=[1.0, 2.0]), False),
        (dict(avg_non_ignore=True), False),
        (dict(class_weight=[1.0, 2.0], avg_non_ignore=True, use_sigmoid=True), False),
    ],
)
def test_two_ways_to_a_mean_over_labelled_pixels_are_refused(shipped, options, refused):
    cfg = shipped('mcdrl')
    cfg.model.decode_head.predictor.loss_decode = [
        dict(type='CrossEntropyLoss', **options)
    ]
    found = [each for each in find_problems(cfg) if 'avg_non_ignore' in each.place]
    assert bool(found) is refused
    assert all('ends in an IndexError' in each.what for each in found)


def test_class_weights_alone_give_that_mean_and_both_fail_still():
    """Else the rule is to go."""
    truth = torch.tensor([[[0, 1, 255, 255]]])
    logits = torch.zeros(1, 2, 1, 4)
    logits[0, 1] = torch.tensor([1.0, 2.0, 30.0, -30.0])
    loss = CrossEntropyLoss(class_weight=[1.0, 3.0])(logits, truth, ignore_index=255)
    # log(1 + e) of the background, three times log(1 + e^-2) of the lesion.
    assert float(loss) == pytest.approx((1.313262 + 3 * 0.126928) / 4, abs=1e-5)
    both = CrossEntropyLoss(class_weight=[1.0, 3.0], avg_non_ignore=True)
    with pytest.raises(IndexError):
        both(logits, truth, ignore_index=255)
