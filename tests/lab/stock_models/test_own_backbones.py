"""The backbones of docs/own_backbone.md, small and with random weights, under MCDRL.

As in the sweep over MMSegmentation's models: a training step, a prediction at gate 1,
which must differ from the stock model's, and one at gate 0, which must equal it.
"""

import re

import pytest
import torch

from mcdrl_lab.stock_models.trial import try_model

# As on the page, but with fewer and narrower blocks and without weights.
BACKBONES = {
    'DINOv3': (
        dict(
            type='TIMMBackbone',
            model_name='vit_small_patch16_dinov3.lvd1689m',
            features_only=True,
            pretrained=False,
            depth=2,
            out_indices=(1,),
        ),
        384,
        64,
    ),
    'DINOv2': (
        dict(
            type='mmpretrain.VisionTransformer',
            arch=dict(
                embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64
            ),
            img_size=518,
            patch_size=14,
            out_type='featmap',
            layer_scale_init_value=1e-5,
        ),
        32,
        56,
    ),
    'ConvNeXt': (
        dict(
            type='mmpretrain.ConvNeXt',
            arch=dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32]),
            out_indices=(0, 1, 2, 3),
            gap_before_final_norm=False,
        ),
        32,
        64,
    ),
    'EfficientNet': (
        dict(
            type='TIMMBackbone',
            model_name='efficientnet_b0',
            features_only=True,
            pretrained=False,
        ),
        320,
        64,
    ),
}


def stock_model(backbone: dict, channels: int, size: int) -> dict:
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            size=(size, size),
            seg_pad_val=255,
        ),
        backbone=backbone,
        decode_head=dict(
            type='FCNHead',
            in_channels=channels,
            in_index=-1,
            channels=16,
            num_convs=1,
            num_classes=3,
        ),
        test_cfg=dict(mode='whole'),
    )


@pytest.mark.parametrize('name', BACKBONES)
def test_a_backbone_of_the_page_trains_and_predicts(name):
    torch.set_num_threads(1)
    backbone, channels, size = BACKBONES[name]
    outcome = try_model(stock_model(backbone, channels, size), size)
    assert (outcome.status, outcome.reason) == ('ok', '')


@pytest.mark.parametrize('name', BACKBONES)
def test_the_tested_backbone_is_that_of_the_page(repo_root, name):
    page = (repo_root / 'docs/own_backbone.md').read_text()
    (entry,) = re.findall(rf'^\| {name}\b.*?\| `(dict\(.*?\))` \|', page, re.M)
    written = eval(entry, {'dict': dict})
    backbone = BACKBONES[name][0]
    assert written['type'] == backbone['type']
    assert set(written) - {'arch'} <= set(backbone)
    same = set(written) - {'arch', 'pretrained'}
    assert {key: written[key] for key in same} == {key: backbone[key] for key in same}
