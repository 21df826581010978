import mmseg
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.models.losses import CrossEntropyLoss, HuasdorffDisstanceLoss
from mmseg.registry import MODELS
from packaging.version import Version
from torch.nn.functional import one_hot

from mcdrl_mmseg.engine.config_check import find_problems


@pytest.mark.parametrize(('channels', 'refused'), [(2, False), (3, True)])
def test_the_hausdorff_loss_of_mmseg_is_refused_for_more_than_two_classes(
    shipped, channels, refused
):
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


def test_the_hausdorff_loss_of_mmseg_is_still_wrong_for_three_classes():
    """Otherwise the rule can be removed."""
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
    assert all('fails with an IndexError' in each.what for each in found)


@pytest.mark.skipif(
    Version(mmseg.__version__) < Version('1.3'),
    reason='mmseg 1.2.2 knows no ignored pixel beside class weights',
)
def test_class_weights_alone_give_the_mean_over_labels_and_both_still_fail():
    """Otherwise the rule can be removed."""
    truth = torch.tensor([[[0, 1, 255, 255]]])
    logits = torch.zeros(1, 2, 1, 4)
    logits[0, 1] = torch.tensor([1.0, 2.0, 30.0, -30.0])
    loss = CrossEntropyLoss(class_weight=[1.0, 3.0])(logits, truth, ignore_index=255)
    # log(1 + e) of the background, three times log(1 + e^-2) of the lesion.
    assert float(loss) == pytest.approx((1.313262 + 3 * 0.126928) / 4, abs=1e-5)
    both = CrossEntropyLoss(class_weight=[1.0, 3.0], avg_non_ignore=True)
    with pytest.raises(IndexError):
        both(logits, truth, ignore_index=255)


@pytest.mark.parametrize('channels', [1, 2])
def test_a_single_channel_in_a_cascade_is_refused(shipped, channels):
    cfg = shipped('mcdrl')
    head = cfg.model.decode_head
    head.predictor.update(
        out_channels=channels,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=channels == 1),
    )
    first = {**head.predictor, 'in_index': -2}
    cfg.model.update(
        type='CascadeEncoderDecoder', num_stages=2, decode_head=[first, head]
    )
    found = {each.place for each in find_problems(cfg)}
    places = {
        'model.decode_head[0].out_channels',
        'model.decode_head[1].predictor.out_channels',
    }
    assert found == (places if channels == 1 else set())


def test_a_cascade_of_mmseg_still_lacks_the_threshold_of_a_single_channel():
    """Otherwise the rule can be removed."""
    init_default_scope('mmseg')
    head = dict(
        type='FCNHead',
        in_channels=512,
        channels=4,
        num_classes=2,
        out_channels=1,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
    )
    model = MODELS.build(
        dict(
            type='CascadeEncoderDecoder',
            num_stages=2,
            backbone=dict(type='ResNet', depth=18),
            decode_head=[head, dict(head, type='OCRHead', ocr_channels=2)],
            test_cfg=ConfigDict(mode='whole'),
        )
    )
    with pytest.raises(AttributeError, match='threshold'):
        model.eval().predict(torch.zeros(1, 3, 64, 64))
