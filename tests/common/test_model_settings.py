import pytest

from mcdrl_common.model_settings import model_hash

MODEL = dict(
    type='EncoderDecoder',
    backbone=dict(type='CLIPResNetBackbone', widths=(1, 2), pretrained='openai'),
    decode_head=dict(
        type='CausalInterventionHead',
        intervention=dict(num_layers=3),
        loss_decode=dict(type='CrossEntropyLoss'),
        loss_causal=None,
    ),
    train_cfg=dict(),
)


def changed(part, **values):
    return {**MODEL, part: {**MODEL[part], **values}}


@pytest.mark.parametrize(
    'same',
    [
        dict(reversed(MODEL.items())),
        {**MODEL, 'train_cfg': None, 'init_cfg': dict(type='Pretrained')},
        {**MODEL, 'type': 'mmseg.EncoderDecoder'},
        changed('backbone', pretrained='/weights/RN50.pt', widths=[1, 2]),
        changed('decode_head', loss_decode=[dict(type='DiceLoss')]),
    ],
)
def test_the_hash_ignores_spelling_and_settings_that_only_training_reads(same):
    assert model_hash(same) == model_hash(MODEL)


@pytest.mark.parametrize(
    'other',
    [
        {**MODEL, 'type': 'CascadeEncoderDecoder'},
        {**MODEL, 'neck': dict(type='FPN')},
        changed('backbone', widths=(1, 3)),
        changed('decode_head', intervention=dict(num_layers=2)),
        changed('decode_head', intervention=None),
    ],
)
def test_a_different_network_has_a_different_hash(other):
    assert model_hash(other) != model_hash(MODEL)


def test_a_class_in_a_config_counts_as_its_name():
    class EncoderDecoder:
        pass

    assert model_hash({**MODEL, 'type': EncoderDecoder}) == model_hash(MODEL)
