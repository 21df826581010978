import pytest

from mcdrl_mmseg.engine.config_check import find_problems

KEYS = 'optim_wrapper.paramwise_cfg.custom_keys'
NECK = dict(type='FPN', in_channels=[32, 64, 160, 256], out_channels=256, num_outs=4)


@pytest.fixture
def found(shipped):
    """Finds the problems of a guided SegFormer with rate keys and perhaps a neck."""

    def find(*keys, neck=None, **wrapper):
        cfg = shipped('guided')
        cfg.optim_wrapper.paramwise_cfg = dict(
            custom_keys={key: dict(lr_mult=0.1) for key in keys}
        )
        cfg.optim_wrapper.update(wrapper)
        if neck:
            cfg.model.backbone.neck = neck
            cfg.model.decode_head.in_channels = 256
            cfg.model.decode_head.predictor.in_channels = [256] * 4
        problems = find_problems(cfg)
        return [each for each in problems if each.place.startswith('optim_wrapper')]

    return find


@pytest.mark.parametrize('keys', [['backbone'], ['backbone', 'neck']])
def test_a_backbone_key_that_also_matches_the_neck_is_reported(found, keys):
    (problem,) = found(*keys, neck=NECK)
    assert problem.place == KEYS
    assert "as backbone.neck.lateral_convs.0.conv.weight, match the key 'backbone'" in (
        problem.what
    )
    own = "match the key 'neck'" if 'neck' in keys else 'match no key'
    assert f'is neck.lateral_convs.0.conv.weight, they {own}.' in problem.what
    assert not found(*keys, 'backbone.neck.', neck=NECK)


def test_a_head_key_that_matches_no_parameter_is_reported(found):
    (problem,) = found('decode_head.conv_seg')
    assert 'as decode_head.predictor.conv_seg.weight, match no key with' in problem.what
    assert not found('decode_head.predictor.conv_seg')


def test_keys_that_match_the_same_parameters_as_before_are_accepted(found):
    assert not found('backbone', 'head', 'norm', 'pos_block')
    assert not found('decode_head', 'decode_head.intervention', 'backbone.layers.0')


def test_layer_wise_decay_of_a_guided_backbone_is_refused(
    found,
):
    name = 'LearningRateDecayOptimizerConstructor'
    (problem,) = found(constructor=name)
    assert problem.place == 'optim_wrapper.constructor'
    assert 'CLIPGuidedBackbone' in problem.what


def test_layer_wise_decay_of_a_clip_tower_is_refused(shipped):
    cfg = shipped('mcdrl')
    cfg.optim_wrapper.constructor = 'LearningRateDecayOptimizerConstructor'
    (problem,) = find_problems(cfg)
    assert 'CLIPVisionBackbone' in problem.what
    assert "'backbone.tower.layer1.'" in problem.remedy


def test_a_head_key_that_also_matches_the_clip_tower_is_reported(shipped):
    cfg = shipped('mcdrl')
    cfg.model.backbone = dict(
        type='CLIPVisionBackbone', model_name='mcdrl-endo-lite0', dense_mode='vanilla'
    )

    def named(*keys: str) -> list[str]:
        cfg.optim_wrapper.paramwise_cfg = dict(
            custom_keys={key: dict(lr_mult=10.0) for key in keys}
        )
        found = find_problems(cfg)
        return [each.what for each in found if each.place == KEYS]

    assert named('norm', 'head') == [
        "'head' also matches 2 parameters of the CLIP tower, such as "
        'backbone.tower.trunk.conv_head.weight.'
    ]
    assert not named('decode_head')
    assert not named('head', 'tower.trunk.conv_head', 'tower.head')
    cfg.model.backbone.frozen = True
    assert not named('head')
