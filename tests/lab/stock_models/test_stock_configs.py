from pathlib import Path

import pytest

from mcdrl_lab.stock_models.stock_configs import list_models, small_model

PREPROCESSOR = dict(
    type='SegDataPreProcessor', mean=[1, 2, 3], std=[4, 5, 6], size=(512, 1024)
)


def model(**head):
    return dict(
        type='EncoderDecoder',
        pretrained='weights.pth',
        data_preprocessor=PREPROCESSOR,
        backbone=dict(type='ResNet', depth=101, norm_cfg=dict(type='SyncBN')),
        decode_head=dict(type='FCNHead', num_classes=19, **head),
        auxiliary_head=dict(type='STDCHead', num_classes=2),
        test_cfg=dict(mode='slide', crop_size=(512, 512)),
    )


def test_small_model_is_of_the_same_kind_without_weights_and_with_three_classes():
    small = small_model(model(in_index=(0, 1)), 64)
    assert small['pretrained'] is None
    assert small['backbone'] == dict(type='ResNet', depth=50, norm_cfg=dict(type='BN'))
    assert small['decode_head'] == dict(type='FCNHead', num_classes=3, in_index=(0, 1))
    # The two classes of a boundary head are not lesion classes.
    assert small['auxiliary_head']['num_classes'] == 2
    assert small['test_cfg'] == dict(mode='whole')
    assert small['data_preprocessor'] == dict(
        type='SegDataPreProcessor',
        mean=[1, 2, 3],
        std=[4, 5, 6],
        size=(64, 64),
        seg_pad_val=255,
    )


@pytest.mark.parametrize(
    ('weights', 'expected'),
    [
        ([0.5] * 19, [0.5] * 3),
        # As in heads with queries: the classes, then "no object".
        ([1.0] * 19 + [0.1], [1.0] * 3 + [0.1]),
    ],
)
def test_class_weights_are_cut_to_the_number_of_classes(weights, expected):
    loss = dict(type='CrossEntropyLoss', class_weight=weights)
    small = small_model(model(loss_decode=loss), 64)
    assert small['decode_head']['loss_decode']['class_weight'] == expected


def test_position_embeddings_get_the_small_size_and_no_weights_are_fetched():
    stock = model()
    stock['backbone'] = dict(type='BEiT', img_size=(640, 640), pretrained=True)
    assert small_model(stock, 64)['backbone'] == dict(
        type='BEiT', img_size=(64, 64), pretrained=False
    )


@pytest.mark.parametrize(
    ('stock', 'expected'),
    [
        (
            dict(type='VisionTransformer', num_layers=24, out_indices=(9, 14, 19, 23)),
            dict(num_layers=4, out_indices=(0, 1, 2, 3)),
        ),
        (
            dict(type='VisionTransformer', num_layers=12, out_indices=11),
            dict(num_layers=4, out_indices=3),
        ),
        (dict(type='SwinTransformer', depths=[2, 2, 18, 2]), dict(depths=[2] * 4)),
        # Numbers of blocks per stage, which define the stages.
        (
            dict(type='MixVisionTransformer', num_layers=[3, 4, 6, 3]),
            dict(num_layers=[3, 4, 6, 3]),
        ),
    ],
)
def test_transformers_keep_few_blocks_and_the_number_of_feature_maps(stock, expected):
    small = small_model({**model(), 'backbone': stock}, 64)
    assert small['backbone'] == dict(stock, **expected)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two configs of one model on two data sets, another model, and a broken file."""
    text = 'model = {!r}\n'
    other = model()
    other['decode_head']['num_classes'] = 150
    kinds = dict(type='UNet')
    for name, content in {
        '_base_/x.py': text.format(model()),
        'fcn/cityscapes.py': text.format(model()),
        'fcn/ade20k.py': text.format(other),
        'unet/drive.py': text.format({**model(), 'backbone': kinds}),
        'unet/torn.py': 'model = dict(',
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_configs_that_differ_only_in_their_data_are_one_model(folder):
    models, unreadable = list_models(folder, 64)
    assert sorted(found.configs for found in models.values()) == [
        ['fcn/ade20k.py', 'fcn/cityscapes.py'],
        ['unet/drive.py'],
    ]
    assert list(unreadable) == ['unet/torn.py']
    assert 'SyntaxError' in unreadable['unet/torn.py']


def test_a_model_has_the_same_key_at_every_size(folder):
    at = {size: list_models(folder, size)[0] for size in (64, 416)}
    assert list(at[64]) == list(at[416])
    sizes = {m.model['data_preprocessor']['size'] for m in at[416].values()}
    assert sizes == {(416, 416)}
