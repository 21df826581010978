import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch.testing import assert_close

from mcdrl_mmseg.clip.normalisation import Normalisation
from mcdrl_mmseg.models import CLIPGuidedBackbone
from mcdrl_mmseg.models.feature_levels import BareMap

CLIP = dict(model_name='mcdrl-tiny-rn')
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
BACKBONES = {
    'ResNet': (
        dict(
            type='ResNetV1c',
            depth=18,
            base_channels=8,
            stem_channels=8,
            norm_cfg=dict(type='BN'),
        ),
        [(8, 16), (16, 8), (32, 4), (64, 2)],
    ),
    'MiT': (
        dict(
            type='MixVisionTransformer',
            embed_dims=8,
            num_layers=[1, 1, 1, 1],
            num_heads=[1, 1, 1, 1],
        ),
        [(8, 16), (8, 8), (8, 4), (8, 2)],
    ),
    'Swin': (
        dict(
            type='SwinTransformer',
            embed_dims=8,
            depths=(1, 1, 1, 1),
            num_heads=(1, 1, 1, 1),
            window_size=4,
        ),
        [(8, 16), (16, 8), (32, 4), (64, 2)],
    ),
    'ConvNeXt': (
        dict(
            type='mmpretrain.ConvNeXt',
            arch=dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32]),
            out_indices=[0, 1, 2, 3],
            gap_before_final_norm=False,
        ),
        [(8, 16), (16, 8), (24, 4), (32, 2)],
    ),
    'UNet': (
        dict(
            type='UNet',
            base_channels=4,
            num_stages=4,
            strides=(1, 1, 1, 1),
            enc_num_convs=(2, 2, 2, 2),
            dec_num_convs=(2, 2, 2),
            downsamples=(True, True, True),
            enc_dilations=(1, 1, 1, 1),
            dec_dilations=(1, 1, 1),
        ),
        [(32, 8), (16, 16), (8, 32), (4, 64)],
    ),
}
SMALL = BACKBONES['ResNet'][0]


@pytest.fixture(autouse=True)
def _one_thread():
    init_default_scope('mmseg')
    torch.set_num_threads(1)
    torch.manual_seed(0)


def images(size=(64, 64)) -> torch.Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('name', BACKBONES)
def test_output_is_the_levels_of_the_backbone_then_the_dense_map_and_embedding(name):
    if name == 'ConvNeXt':
        pytest.importorskip('mmpretrain')
    cfg, shapes = BACKBONES[name]
    backbone = MODELS.build(dict(type='CLIPGuidedBackbone', backbone=cfg, clip=CLIP))
    with torch.no_grad():
        *levels, dense, embedding = backbone.eval()(images())
    found = [(level.shape[1], level.shape[2]) for level in levels]
    assert found == shapes
    assert dense.shape == (2, 128, 2, 2)
    assert embedding.shape == (2, 128, 1, 1)


@pytest.mark.parametrize('name', BACKBONES)
def test_wrapped_backbone_returns_the_same_levels_as_alone(name):
    if name == 'ConvNeXt':
        pytest.importorskip('mmpretrain')
    cfg, _ = BACKBONES[name]
    guided = CLIPGuidedBackbone(cfg, CLIP, bgr=True, clip_size=32).eval()
    alone = MODELS.build(cfg)
    alone.eval()  # returns None for some stock backbones
    alone.load_state_dict(guided.backbone.state_dict())
    with torch.no_grad():
        levels, expected = guided(images())[:-2], alone(images())
    assert len(levels) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(levels, expected))


def test_wrapped_backbone_gets_the_input_unchanged():
    backbone = CLIPGuidedBackbone(SMALL, CLIP)
    seen = []
    backbone.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    given = images()
    before = given.clone()
    backbone.eval()(given)
    assert seen[0] is given
    assert torch.equal(given, before)


@pytest.mark.parametrize('bgr_to_rgb', [True, False])
def test_clip_gets_the_pixels_in_its_own_normalisation(bgr_to_rgb):
    """From a BGR image, as loaded, through mmseg's own preprocessor."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 9), dtype=np.uint8)
    # Given in the order in which the preprocessor hands the channels on.
    mean, std = (MEAN, STD) if bgr_to_rgb else (MEAN[::-1], STD[::-1])
    preprocessor = MODELS.build(
        dict(type='SegDataPreProcessor', mean=mean, std=std, bgr_to_rgb=bgr_to_rgb)
    )
    data = preprocessor({'inputs': [torch.from_numpy(pixels)]}, training=False)
    backbone = CLIPGuidedBackbone(SMALL, CLIP, mean=mean, std=std, bgr=not bgr_to_rgb)

    rgb = pixels[::-1].astype(np.float64)
    clip_mean = np.array(OPENAI_DATASET_MEAN).reshape(3, 1, 1)
    clip_std = np.array(OPENAI_DATASET_STD).reshape(3, 1, 1)
    expected = (rgb / 255 - clip_mean) / clip_std
    result = backbone.clip_images(data['inputs'])[0]
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)


def test_images_in_clips_own_normalisation_stay_unchanged():
    backbone = CLIPGuidedBackbone(
        SMALL,
        CLIP,
        mean=[255 * m for m in OPENAI_DATASET_MEAN],
        std=[255 * s for s in OPENAI_DATASET_STD],
    )
    assert_close(backbone.clip_images(images()), images(), atol=1e-5, rtol=0)


def test_clip_size_resizes_images_only_for_clip():
    backbone = CLIPGuidedBackbone(SMALL, CLIP, clip_size=96).eval()
    constant = torch.full((1, 3, 64, 128), 0.5)
    resized = backbone.clip_images(constant)
    assert resized.shape == (1, 3, 96, 96)
    assert_close(resized, resized[..., :1, :1].expand_as(resized))
    with torch.no_grad():
        *levels, dense, _ = backbone(images((64, 128)))
    assert levels[0].shape[2:] == (16, 32)
    assert dense.shape[2:] == (3, 3)


def test_guide_gets_no_gradient_and_stays_in_evaluation_mode():
    backbone = CLIPGuidedBackbone(SMALL, CLIP)
    assert backbone.train() is backbone
    assert not any(m.training for m in backbone.guide.tower.modules())
    assert backbone.backbone.training
    given = images().requires_grad_()
    *levels, dense, embedding = backbone(given)
    assert levels[0].requires_grad
    assert not dense.requires_grad and not embedding.requires_grad
    sum(level.square().sum() for level in levels).backward()
    assert all(p.grad is None for p in backbone.guide.parameters())
    assert all(p.grad is not None for p in backbone.backbone.parameters())


def test_frozen_backbone_gets_no_gradient_and_stays_in_evaluation_mode():
    wrapped = CLIPGuidedBackbone(backbone=SMALL, clip=CLIP, frozen=True).train()
    before = {name: value.clone() for name, value in wrapped.state_dict().items()}
    levels = wrapped(images())
    assert not any(level.requires_grad for level in levels)
    # Batch norm in training mode would have moved its running mean.
    for name, value in wrapped.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(p.requires_grad for p in wrapped.parameters())


def test_all_but_the_frozen_stages_of_an_unfrozen_backbone_is_trained():
    stages = {**SMALL, 'frozen_stages': 1}
    wrapped = CLIPGuidedBackbone(backbone=stages, clip=CLIP).train()
    trained = {n for n, p in wrapped.backbone.named_parameters() if p.requires_grad}
    alone = MODELS.build(stages)
    alone.train()
    assert trained == {n for n, p in alone.named_parameters() if p.requires_grad}
    assert 0 < len(trained) < len(list(wrapped.backbone.parameters()))


def test_clip_spec_for_the_text_side_is_that_of_the_guide():
    backbone = CLIPGuidedBackbone(SMALL, {**CLIP, 'pretrained': 'x.pt'})
    assert backbone.clip_spec.model_name == 'mcdrl-tiny-rn'
    assert backbone.clip_spec.pretrained == 'x.pt'


@pytest.mark.parametrize('clip', [dict(out_indices=(0,)), dict(frozen=False)])
def test_a_guide_with_out_indices_or_training_is_an_error(clip):
    with pytest.raises(ValueError, match='only guides the selection'):
        CLIPGuidedBackbone(SMALL, {**CLIP, **clip})


def test_pretrained_of_a_stock_config_is_passed_to_the_wrapped_backbone():
    cfg = {**SMALL, 'init_cfg': None}
    backbone = CLIPGuidedBackbone(cfg, CLIP, pretrained='weights.pth')
    assert backbone.backbone.init_cfg == dict(
        type='Pretrained', checkpoint='weights.pth'
    )
    assert 'pretrained' not in cfg


def test_the_given_configs_are_not_modified():
    backbone, clip = dict(SMALL), dict(CLIP)
    CLIPGuidedBackbone(backbone, clip)
    assert backbone == SMALL
    assert clip == CLIP


def preprocessor(**values):
    cfg = dict(type='SegDataPreProcessor', mean=MEAN, std=STD, bgr_to_rgb=True)
    return MODELS.build({**cfg, **values})


def test_matching_data_preprocessor_passes_the_check():
    CLIPGuidedBackbone(SMALL, CLIP).check_data_preprocessor(preprocessor())
    CLIPGuidedBackbone(SMALL, CLIP, bgr=True).check_data_preprocessor(
        preprocessor(bgr_to_rgb=False)
    )
    CLIPGuidedBackbone(
        SMALL, CLIP, mean=[0, 0, 0], std=[1, 1, 1], bgr=True
    ).check_data_preprocessor(preprocessor(mean=None, std=None, bgr_to_rgb=False))


@pytest.mark.parametrize(
    'values',
    [
        dict(mean=[0, 0, 0]),
        dict(std=[1, 1, 1]),
        dict(mean=MEAN[::-1]),
        dict(bgr_to_rgb=False),
        dict(mean=None, std=None),
    ],
)
def test_another_data_preprocessor_is_an_error_that_shows_the_values_of_the_backbone(
    values,
):
    backbone = CLIPGuidedBackbone(SMALL, CLIP)
    with pytest.raises(ValueError, match='Set mean, std and bgr') as caught:
        backbone.check_data_preprocessor(preprocessor(**values))
    assert '123.675' in str(caught.value)


def test_normalisation_is_not_part_of_the_checkpoint():
    names = set(CLIPGuidedBackbone(SMALL, CLIP).state_dict())
    assert {name.split('.')[0] for name in names} == {'backbone', 'guide'}


@pytest.mark.parametrize('name', ['channel_conversion', '_channel_conversion'])
def test_colour_conversion_is_found_by_its_public_and_its_private_name(name):
    """Public in MMSegmentation 1.2, private in its continuation."""
    stand_in = torch.nn.Module()
    stand_in.mean, stand_in.std = torch.tensor(MEAN), torch.tensor(STD)
    setattr(stand_in, name, True)
    CLIPGuidedBackbone(SMALL, CLIP).check_data_preprocessor(stand_in)
    with pytest.raises(ValueError, match="'bgr': False"):
        CLIPGuidedBackbone(SMALL, CLIP, bgr=True).check_data_preprocessor(stand_in)


def test_the_guide_gets_images_in_the_normalisation_of_its_own_model(monkeypatch):
    half = Normalisation((0.5,) * 3, (0.5,) * 3)
    for name in ('normalisation_by_name', 'normalisation_of'):
        monkeypatch.setattr(f'mcdrl_mmseg.clip.normalisation.{name}', lambda _: half)
    backbone = CLIPGuidedBackbone(SMALL, CLIP, mean=MEAN, std=STD)
    black, white = (
        (torch.full((1, 3, 2, 2), value) - torch.tensor(MEAN).view(3, 1, 1))
        / torch.tensor(STD).view(3, 1, 1)
        for value in (0.0, 255.0)
    )
    assert_close(backbone.clip_images(black), torch.full((1, 3, 2, 2), -1.0))
    assert_close(backbone.clip_images(white), torch.full((1, 3, 2, 2), 1.0))


def test_a_checkpoint_holds_scale_and_shift_only_with_a_given_normalisation():
    plain = CLIPGuidedBackbone(SMALL, CLIP)
    other = CLIPGuidedBackbone(SMALL, CLIP, clip_mean=[127.5] * 3, clip_std=[127.5] * 3)
    assert other.state_dict().keys() - plain.state_dict().keys() == {'_scale', '_shift'}


def test_weights_with_a_normalisation_of_their_own_need_it_in_the_config():
    clip = dict(model_name='ViT-L-14', pretrained='laion2b_s32b_b82k')
    with (
        torch.device('meta'),
        pytest.raises(ValueError, match=r'Set clip_mean=\[127\.5, 127\.5, 127\.5\]'),
    ):
        CLIPGuidedBackbone(SMALL, clip)


def test_a_given_normalisation_of_the_guide_overrides_that_of_its_model():
    backbone = CLIPGuidedBackbone(
        SMALL,
        CLIP,
        clip_mean=[0.0] * 3,
        clip_std=[255.0] * 3,
        mean=[0.0] * 3,
        std=[1.0] * 3,
    )
    given = torch.full((1, 3, 2, 2), 51.0)
    assert_close(backbone.clip_images(given), torch.full((1, 3, 2, 2), 0.2))


FPN = dict(type='FPN', in_channels=[8, 16, 32, 64], out_channels=8, num_outs=4)


def test_with_a_neck_the_levels_are_exactly_those_of_the_neck():
    necked = CLIPGuidedBackbone(SMALL, CLIP, neck=FPN).eval()
    with torch.no_grad():
        *levels, dense, embedding = necked(images())
        expected = necked.neck(necked.backbone(images()))
    assert [level.shape[1:] for level in levels] == [
        (8, side, side) for side in (16, 8, 4, 2)
    ]
    assert all(torch.equal(a, b) for a, b in zip(levels, expected))
    assert (dense.shape[1], embedding.shape[1]) == (128, 128)


def test_a_neck_is_trained_while_the_backbone_is_frozen():
    frozen = CLIPGuidedBackbone(SMALL, CLIP, frozen=True, neck=FPN).train()
    trained = {name for name, p in frozen.named_parameters() if p.requires_grad}
    assert trained == {f'neck.{name}' for name, _ in frozen.neck.named_parameters()}
    assert frozen.neck.training and not frozen.backbone.training


def test_a_bare_map_of_the_backbone_is_returned_as_a_bare_map_and_not_as_a_tuple():
    """DDRNet gives two maps in training and one, bare, in evaluation."""
    ddrnet = dict(type='DDRNet', channels=8, ppm_channels=16)
    backbone = CLIPGuidedBackbone(ddrnet, CLIP)
    assert type(backbone.train()(images())) is tuple
    assert len(backbone(images())) == 4
    with torch.no_grad():
        found = backbone.eval()(images())
        expected = backbone.backbone(images())
    assert isinstance(found, BareMap)
    assert torch.equal(found.level, expected)
    assert found.dense_features.shape == (2, 128, 2, 2)
