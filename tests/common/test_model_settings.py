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
def test_what_a_training_alone_reads_and_how_it_is_written_plays_no_part(same):
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
def test_another_network_has_another_hash(other):
    assert model_hash(other) != model_hash(MODEL)


def test_classes_in_the_place_of_names_are_these_names():
    class EncoderDecoder:
        pass

    assert model_hash({**MODEL, 'type': EncoderDecoder}) == model_hash(MODEL)
