import pytest
import torch
from mmseg.registry import MODELS

from mcdrl_mmseg.engine.config_check import find_problems
from mcdrl_mmseg.engine.config_check.config_components import components
from mcdrl_mmseg.engine.config_check.head_inputs import input_problems

BACKBONE = dict(
    type='CLIPVisionBackbone', model_name='mcdrl-tiny-rn', out_indices=(2, 3)
)
STOCK = dict(type='FCNHead', in_channels=128, channels=8, num_classes=2)
LEVELS = dict(input_transform='resize_concat', in_channels=[128, 128])


def problems(backbone=None, neck=None, **heads):
    model = dict(backbone=backbone or BACKBONE, neck=neck, **heads)
    cfg = dict(model=model)
    return [each.place for each in input_problems(cfg, components(cfg))]


@pytest.mark.parametrize(
    ('changes', 'refused'),
    [
        ({}, True),  # MMSegmentation's default
        (dict(in_index=-1), True),
        (dict(in_index=3), True),
        (dict(in_index=-2), False),
        (dict(in_index=2), False),
        (dict(in_index=0), False),
        (dict(LEVELS, in_index=[0, -1]), True),
        (dict(LEVELS, in_index=[0, -2]), False),
    ],
)
@pytest.mark.parametrize('key', ['decode_head', 'auxiliary_head'])
@pytest.mark.parametrize('several', [False, True])
def test_a_stock_head_on_the_image_embedding_is_reported(
    changes, refused, key, several
):
    head = {**STOCK, **changes}
    place = f'model.{key}'
    if several:
        heads, place = [{**STOCK, 'in_index': 0}, head], f'{place}[1]'
    else:
        heads = head
    assert problems(**{key: heads}) == ([f'{place}.in_index'] if refused else [])


@pytest.mark.parametrize(
    ('intervenes', 'refused'),
    [
        ((True, False), [0]),
        ((True, True, False), [0, 1]),
        ((False, True), []),
        ((True, True), []),
        ((False, False), []),
    ],
)
def test_an_intervention_before_the_last_head_of_a_cascade_is_reported(
    intervenes, refused
):
    """The last head predicts, and reads maps without the intervention."""
    stock = {**STOCK, 'in_index': 0}
    ours = dict(type='CausalInterventionHead', in_channels=128, predictor=stock)
    heads = [ours if each else stock for each in intervenes]
    places = [f'model.decode_head[{number}].type' for number in refused]
    assert problems(decode_head=heads) == places


def test_a_stock_head_on_the_image_embedding_gives_a_single_score_per_class():
    backbone, head = MODELS.build(BACKBONE).eval(), MODELS.build(STOCK).eval()
    with torch.no_grad():
        logits = head(backbone(torch.randn(1, 3, 64, 64)))
    assert logits.shape == (1, 2, 1, 1)


@pytest.mark.parametrize(
    ('head', 'places'),
    [
        (dict(type='PromptTuningHead', in_channels=128), []),
        (
            dict(type='PromptTuningHead', in_channels=128, in_index=-1),
            ['model.decode_head.in_index'],
        ),
        (
            dict(type='PromptTuningHead', in_channels=128, predictor=STOCK),
            ['model.decode_head.predictor.in_index'],
        ),
        # The predictor of this head gets the intervened map as the last one.
        (dict(type='CausalInterventionHead', in_channels=128, predictor=STOCK), []),
    ],
)
def test_a_predictor_may_read_the_last_map_only_after_an_intervention(head, places):
    assert problems(decode_head=head) == places


def test_stock_backbones_and_necks_are_not_checked():
    stock = dict(type='ResNet', depth=18)
    assert problems(stock, decode_head=STOCK) == []
    assert problems(neck=dict(type='FPN'), decode_head=STOCK) == []
    guided = dict(type='CLIPGuidedBackbone', backbone=stock, clip=dict())
    assert problems(guided, decode_head=dict(STOCK, in_index=3)) == []
    assert problems(guided, auxiliary_head=STOCK) == ['model.auxiliary_head.in_index']


@pytest.mark.parametrize('backbone', [BACKBONE, dict(type='CLIPGuidedBackbone')])
def test_a_neck_between_clip_and_the_intervention_is_refused(backbone):
    """FPN's last levels would be used as the dense map and the embedding."""
    neck = dict(type='FPN', in_channels=[128, 128], out_channels=128, num_outs=2)
    head = dict(type='CausalInterventionHead', in_channels=128, predictor=STOCK)
    assert problems(backbone, neck, decode_head=head) == ['model.neck']
    assert problems(backbone, neck, decode_head=[STOCK, head]) == ['model.neck']


def test_the_problem_names_the_index_to_set(shipped):
    cfg = shipped('coop')
    assert not find_problems(cfg)
    cfg.model.decode_head.in_index = -1
    (problem,) = find_problems(cfg)
    assert str(problem).startswith(
        'model.decode_head.in_index: is -1: this output of CLIP'
    )
    assert problem.remedy == (
        'Set in_index=-2 for the dense map, or to the index of a level.'
    )
    # A checkpoint that was trained with it can still be tested.
    assert not find_problems(cfg, training=False)
