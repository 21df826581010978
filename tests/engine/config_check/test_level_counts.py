import pytest

from mcdrl_mmseg.engine.config_check import find_problems
from mcdrl_mmseg.engine.config_check.config_components import components
from mcdrl_mmseg.engine.config_check.level_counts import level_problems

TWO_LEVELS = dict(
    type='CLIPVisionBackbone', model_name='mcdrl-tiny-rn', out_indices=(2, 3)
)
FCN = dict(type='FCNHead', in_channels=128, channels=8, num_classes=2)
LEVELS = dict(FCN, type='SegformerHead')


def problems(backbone, **parts):
    cfg = dict(model=dict(backbone=backbone, **parts))
    return [str(each) for each in level_problems(cfg, components(cfg))]


def guided(**backbone):
    return dict(type='CLIPGuidedBackbone', backbone=backbone, clip=dict())


# Two levels, the dense map and the embedding.
@pytest.mark.parametrize('index', [-5, 4])
@pytest.mark.parametrize('key', ['decode_head', 'auxiliary_head'])
def test_a_stock_head_that_reads_beyond_the_maps_of_the_backbone_is_reported(
    index, key
):
    (told,) = problems(TWO_LEVELS, **{key: dict(FCN, in_index=index)})
    assert told == (
        f'model.{key}.in_index: names {index}, but the head gets 4 maps, with indices '
        '0 to 3. Use another index, or add the level to out_indices of the backbone.'
    )


@pytest.mark.parametrize('index', [-4, -2, 0, 2])
def test_an_index_of_an_existing_map_is_not_reported(index):
    assert problems(TWO_LEVELS, decode_head=dict(FCN, in_index=index)) == []


@pytest.mark.parametrize(
    ('own', 'similarity_map', 'count'),
    [(0, False, 2), (-2, False, 3), (2, False, 3), ([0, -2], True, 4)],
)
def test_the_maps_of_a_predictor_are_counted_with_those_of_the_intervention(
    own, similarity_map, count
):
    head = dict(type='CausalInterventionHead', in_channels=128, in_index=own)
    head['similarity_map'] = similarity_map
    for index in (count - 1, -count):
        head['predictor'] = dict(FCN, in_index=index)
        assert problems(TWO_LEVELS, decode_head=head) == []
    for index in (count, -count - 1):
        head['predictor'] = dict(FCN, in_index=index)
        (told,) = problems(TWO_LEVELS, decode_head=head)
        assert told.startswith('model.decode_head.predictor.in_index: names')
        assert f'the head gets {count} maps' in told


def test_an_intervention_beyond_the_maps_of_the_backbone_is_the_only_report():
    head = dict(type='CausalInterventionHead', in_channels=128, in_index=5)
    head['predictor'] = dict(FCN, in_index=9)
    (told,) = problems(TWO_LEVELS, decode_head=head)
    assert told.startswith('model.decode_head.in_index: names 5, but the head gets 4')


def test_a_dense_map_in_place_of_a_level_is_reported_with_its_width():
    # d of ViT-B-16 is 512; the fourth level of MiT-B0 has 256 channels.
    head = dict(LEVELS, in_channels=[32, 64, 160, 256], in_index=[0, 1, 2, 3])
    four = guided(type='MixVisionTransformer')
    assert problems(four, decode_head=head) == []
    three = guided(type='MixVisionTransformer', out_indices=(0, 1, 2))
    (told,) = problems(three, decode_head=head)
    assert told.startswith(
        "model.decode_head.in_index: names 3, which is CLIP's dense map, after the "
        'levels. It has 512 channels, but in_channels is 256.'
    )
    two = guided(type='MixVisionTransformer', out_indices=(0, 1))
    dense = dict(LEVELS, in_channels=[32, 64, 512], in_index=[0, 1, 2])
    assert problems(two, decode_head=dense) == []


@pytest.mark.parametrize('index', ['a', [[0]], [None], 1.5])
def test_values_that_are_not_an_index_are_left_to_the_rule_on_types(index):
    for kind in ('FCNHead', 'CausalInterventionHead'):
        head = dict(FCN, type=kind, in_index=index, predictor=FCN)
        assert problems(TWO_LEVELS, decode_head=head) == []


def test_backbones_and_necks_with_an_unknown_number_of_levels_are_not_checked():
    head = dict(FCN, in_index=6)
    assert problems(guided(type='UNet'), decode_head=head) == []
    assert problems(guided(type='mmpretrain.ConvNeXt'), decode_head=head) == []
    assert problems(TWO_LEVELS, neck=dict(type='FPN'), decode_head=head) == []
    necked = guided(type='MixVisionTransformer')
    necked['neck'] = dict(type='FPN')
    assert problems(necked, decode_head=head) == []
    assert problems(guided(type='MixVisionTransformer'), decode_head=head) != []


@pytest.mark.reliability('bad input', 'config: a level that out_indices lack')
def test_the_check_reports_a_level_missing_in_out_indices_of_a_shipped_config(shipped):
    cfg = shipped('guided')
    assert find_problems(cfg) == []
    cfg.model.backbone.backbone.out_indices = (0, 1, 2)
    (told,) = find_problems(cfg)
    assert told.place == 'model.decode_head.in_index'
    assert "names 3, which is CLIP's dense map" in told.what
