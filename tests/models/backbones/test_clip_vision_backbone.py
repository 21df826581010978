import copy
import warnings

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from safetensors.torch import save_file
from torch.nn.modules.batchnorm import _BatchNorm
from torch.testing import assert_close

from mcdrl_mmseg.clip.weights import CLIPWeightsError
from mcdrl_mmseg.models import CLIPVisionBackbone

VIT, RESNET = 'mcdrl-tiny-vit', 'mcdrl-tiny-rn'


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def images(size=64, batch=2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, size, size, generator=generator)


@pytest.mark.parametrize(
    ('name', 'out_indices', 'shapes'),
    [
        (VIT, (), []),
        (VIT, (1, 3, -1), [(192, 8, 8)] * 3),
        (RESNET, (), []),
        (RESNET, (0, 2), [(64, 16, 16), (256, 4, 4)]),
        (
            RESNET,
            (0, 1, 2, 3),
            [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)],
        ),
    ],
)
def test_output_is_the_levels_then_the_dense_map_then_the_embedding(
    name, out_indices, shapes
):
    backbone = CLIPVisionBackbone(name, out_indices=out_indices).eval()
    with torch.no_grad():
        *levels, dense, embedding = backbone(images())
    assert [level.shape[1:] for level in levels] == shapes
    side = 8 if name == VIT else 2
    assert dense.shape == (2, 128, side, side)
    assert embedding.shape == (2, 128, 1, 1)


@pytest.mark.parametrize('name', [VIT, RESNET])
def test_out_indices_may_count_from_the_end(name):
    torch.manual_seed(0)
    forward = CLIPVisionBackbone(name, out_indices=(-2, -1)).eval()
    count = 6 if name == VIT else 4
    assert forward.out_indices == (count - 2, count - 1)


@pytest.mark.parametrize(
    ('name', 'out_indices'),
    [(VIT, (6,)), (VIT, (-7,)), (RESNET, (4,)), (RESNET, (1, 0)), (RESNET, (3, -1))],
)
def test_invalid_out_indices_are_an_error_that_names_the_model(name, out_indices):
    kind = '6 blocks' if name == VIT else '4 stages'
    with pytest.raises(ValueError, match=rf'increasing indices of {kind} .*{name}'):
        CLIPVisionBackbone(name, out_indices=out_indices)


def test_dense_mode_changes_the_dense_map_and_not_the_embedding():
    plain = CLIPVisionBackbone(RESNET, dense_mode='vanilla').eval()
    other = CLIPVisionBackbone(RESNET, dense_mode='maskclip').eval()
    other.load_state_dict(plain.state_dict())
    with torch.no_grad():
        one, two = plain(images()), other(images())
    assert_close(one[-1], two[-1])
    assert not torch.allclose(one[-2], two[-2], atol=1e-2)


def test_unknown_dense_mode_is_an_error():
    with pytest.raises(ValueError, match="dense_mode='sclap' must be one of"):
        CLIPVisionBackbone(RESNET, dense_mode='sclap')


def test_unknown_and_unsupported_models_are_errors_that_name_them():
    with pytest.raises(ValueError, match="model_name='ViT-Z'"):
        CLIPVisionBackbone('ViT-Z')
    other = 'vit_relpos_medium_patch16_cls_224'
    with torch.device('meta'), pytest.raises(ValueError, match=other):
        CLIPVisionBackbone(other)


def trained(backbone) -> set[str]:
    return {name for name, p in backbone.named_parameters() if p.requires_grad}


@pytest.mark.parametrize('name', [VIT, RESNET])
def test_everything_is_trained_by_default_and_nothing_if_frozen(name):
    everything = trained(CLIPVisionBackbone(name))
    assert len(everything) == len(list(CLIPVisionBackbone(name).parameters()))
    assert trained(CLIPVisionBackbone(name, frozen=True)) == set()


@pytest.mark.parametrize(
    ('name', 'stages', 'frozen_prefixes'),
    [
        (VIT, 0, ('conv1', 'ln_pre', 'class_embedding', 'positional_embedding')),
        (
            VIT,
            2,
            (
                'conv1',
                'ln_pre',
                'class_embedding',
                'positional_embedding',
                'transformer.resblocks.0',
                'transformer.resblocks.1',
            ),
        ),
        (RESNET, 0, ('conv1', 'bn1', 'conv2', 'bn2', 'conv3', 'bn3')),
        (
            RESNET,
            3,
            (
                *('conv1', 'bn1', 'conv2', 'bn2', 'conv3', 'bn3'),
                *('layer1', 'layer2', 'layer3'),
            ),
        ),
    ],
)
def test_frozen_stages_freezes_the_stem_and_the_first_stages(
    name, stages, frozen_prefixes
):
    backbone = CLIPVisionBackbone(name, frozen_stages=stages)
    for key, parameter in backbone.named_parameters():
        part = key.removeprefix('tower.')
        inside = any(part == p or part.startswith(f'{p}.') for p in frozen_prefixes)
        assert parameter.requires_grad != inside, key


@pytest.mark.parametrize('stages', [-2, 5])
def test_frozen_stages_outside_its_range_is_an_error(stages):
    with pytest.raises(
        ValueError, match=rf'frozen_stages={stages} must lie in -1 .. 4'
    ):
        CLIPVisionBackbone(RESNET, frozen_stages=stages)


@pytest.mark.parametrize('name', [VIT, RESNET])
def test_frozen_part_gets_no_gradient_and_the_rest_does(name):
    backbone = CLIPVisionBackbone(name, frozen_stages=1).train()
    *_, dense, embedding = backbone(images())
    (dense.square().sum() + embedding.square().sum()).backward()
    for key, parameter in backbone.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key


def statistics(backbone) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in backbone.named_buffers() if 'running' in k}


def changed(backbone, before) -> set[str]:
    now = statistics(backbone)
    return {key for key, value in before.items() if not torch.equal(now[key], value)}


def test_frozen_batch_norm_stays_in_evaluation_while_training():
    backbone = CLIPVisionBackbone(RESNET, frozen=True)
    assert backbone.train() is backbone
    assert backbone.training
    before = statistics(backbone)
    backbone(images())
    assert changed(backbone, before) == set()


def test_only_the_batch_norm_of_frozen_stages_stays_in_evaluation():
    backbone = CLIPVisionBackbone(RESNET, frozen_stages=2).train()
    before = statistics(backbone)
    backbone(images())
    parts = {key.split('.')[1] for key in changed(backbone, before)}
    assert parts == {'layer3', 'layer4'}


def test_norm_eval_keeps_all_statistics_and_still_trains_the_weights():
    backbone = CLIPVisionBackbone(RESNET, norm_eval=True).train()
    before = statistics(backbone)
    backbone(images())
    assert changed(backbone, before) == set()
    norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm)]
    assert norms and all(n.weight.requires_grad for n in norms)


def test_batch_norm_statistics_change_in_training_and_not_in_evaluation():
    backbone = CLIPVisionBackbone(RESNET).train()
    before = statistics(backbone)
    backbone(images())
    assert changed(backbone, before) == set(before)
    assert backbone.train(False) is backbone
    before = statistics(backbone)
    backbone(images())
    assert changed(backbone, before) == set()


def test_weights_are_loaded_by_init_weights_and_not_before(tmp_path):
    source = CLIPVisionBackbone(RESNET)
    path = tmp_path / 'clip.safetensors'
    state = {
        key.replace('tower.', 'visual.', 1): torch.randn_like(value.float())
        for key, value in source.state_dict().items()
    }
    save_file(state, path)
    backbone = CLIPVisionBackbone(RESNET, pretrained=str(path))
    assert not torch.equal(backbone.tower.conv1.weight, state['visual.conv1.weight'])
    backbone.init_weights()
    assert torch.equal(backbone.tower.conv1.weight, state['visual.conv1.weight'])
    key = 'layer3.0.bn2.running_mean'
    assert torch.equal(backbone.state_dict()[f'tower.{key}'], state[f'visual.{key}'])


@pytest.mark.parametrize('pretrained', ['builtin', None])
@pytest.mark.parametrize('several', [False, True])
def test_training_starts_from_the_checkpoint_of_init_cfg(
    pretrained, several, tmp_path, recwarn
):
    path = str(tmp_path / 'own.pth')
    tuned = CLIPVisionBackbone(RESNET)
    torch.save({f'backbone.{k}': v for k, v in tuned.state_dict().items()}, path)
    init_cfg = dict(type='Pretrained', checkpoint=path, prefix='backbone.')
    backbone = CLIPVisionBackbone(
        RESNET, pretrained=pretrained, init_cfg=[init_cfg] if several else init_cfg
    )
    backbone.init_weights()
    assert torch.equal(backbone.tower.conv1.weight, tuned.tower.conv1.weight)
    assert not [w for w in recwarn if 'random weights' in str(w.message)]


def test_missing_weights_file_fails_at_the_start_of_training_and_not_at_loading():
    """With a checkpoint of the whole model, CLIP's weights are no longer needed."""
    backbone = CLIPVisionBackbone(RESNET, pretrained='gone.pt')
    backbone.load_state_dict(CLIPVisionBackbone(RESNET).state_dict())
    with pytest.raises(CLIPWeightsError, match=r'gone\.pt'):
        backbone.init_weights()


def test_random_weights_warn_that_selection_means_nothing(recwarn):
    backbone = CLIPVisionBackbone(RESNET)
    assert not [w for w in recwarn if 'random weights' in str(w.message)]
    with pytest.warns(UserWarning, match=r'mcdrl-tiny-rn.*pretrained=None.*selection'):
        backbone.init_weights()


def test_given_weights_do_not_warn(tmp_path):
    state = CLIPVisionBackbone(RESNET).state_dict()
    path = tmp_path / 'clip.pt'
    torch.save({k.replace('tower.', 'visual.', 1): v for k, v in state.items()}, path)
    backbone = CLIPVisionBackbone(RESNET, pretrained=str(path))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        backbone.init_weights()


@pytest.mark.parametrize('name', [VIT, RESNET])
def test_gradient_checkpointing_gives_the_same_gradients_with_frozen_stages(name):
    backbone = CLIPVisionBackbone(name, frozen_stages=1, norm_eval=True).train()
    other = copy.deepcopy(backbone)
    other.with_cp = True
    for each in (backbone, other):
        each(images())[-2].square().sum().backward()
    for (key, one), two in zip(backbone.named_parameters(), other.parameters()):
        assert (one.grad is None) == (two.grad is None), key
        if one.grad is not None:
            assert_close(one.grad, two.grad, msg=key)


def test_pretrained_of_an_encoder_decoder_reaches_the_backbone():
    """mmseg passes ``model.pretrained`` on to the backbone."""
    cfg = ConfigDict(
        type='EncoderDecoder',
        pretrained='a/file.pt',
        backbone=dict(type='CLIPVisionBackbone', model_name=RESNET),
        decode_head=dict(
            type='FCNHead',
            in_channels=128,
            in_index=-2,
            channels=8,
            num_convs=1,
            num_classes=2,
        ),
    )
    assert MODELS.build(cfg).backbone.clip_spec.pretrained == 'a/file.pt'


def test_output_stride_makes_the_dense_map_finer():
    backbone = CLIPVisionBackbone('mcdrl-tiny-rn', output_stride=16, out_indices=(3,))
    level, dense, embedding = backbone(torch.randn(1, 3, 128, 96))
    assert level.shape[2:] == dense.shape[2:] == (8, 6)
    assert embedding.shape == (1, 128, 1, 1)


def test_output_stride_of_a_vit_is_refused():
    with pytest.raises(ValueError, match=r'output_stride=16.*patch size'):
        CLIPVisionBackbone('mcdrl-tiny-vit', output_stride=16)


@pytest.mark.parametrize(('name', 'scale', 'side'), [(VIT, 0.5, 4), (RESNET, 2, 4)])
def test_input_scale_resizes_the_images_for_the_tower(name, scale, side):
    plain = CLIPVisionBackbone(name, out_indices=(0,)).eval()
    scaled = CLIPVisionBackbone(name, out_indices=(0,), input_scale=scale).eval()
    scaled.load_state_dict(plain.state_dict())
    resized = torch.nn.functional.interpolate(
        images(), size=(int(64 * scale),) * 2, mode='bilinear', antialias=True
    )
    with torch.no_grad():
        found, expected = scaled(images()), plain(resized)
    assert found[-2].shape == (2, 128, side, side)
    for ours, reference in zip(found, expected):
        assert_close(ours, reference)


def test_halved_images_keep_the_mean_of_fine_stripes():
    """Stripes of one pixel become grey at half the size, not the colour of one row."""
    seen = []
    backbone = CLIPVisionBackbone(VIT, input_scale=0.5).eval()
    backbone.tower.conv1.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    stripes = torch.ones(1, 3, 64, 64)
    stripes[:, :, ::2] = -1
    with torch.no_grad():
        backbone(stripes)
    # The outermost rows see less on one side.
    assert seen[0][:, :, 1:-1].abs().max() < 1e-5


@pytest.mark.parametrize('scale', [0, -0.5, 0.0004, float('nan')])
def test_an_input_scale_that_is_too_small_or_not_a_number_is_refused(scale):
    with pytest.raises(ValueError, match=r'input_scale=.*0.001 or more'):
        CLIPVisionBackbone(VIT, input_scale=scale)


def preprocessor(**kwargs):
    return MODELS.build(dict(type='SegDataPreProcessor', **kwargs))


def test_a_preprocessor_that_does_not_match_the_training_of_the_tower_is_an_error():
    own = dict(mean=[122.77, 116.75, 104.09], std=[68.5, 66.63, 70.32])
    backbone = CLIPVisionBackbone(RESNET, 'builtin')
    backbone.check_data_preprocessor(preprocessor(**own, bgr_to_rgb=True))
    for other in (
        dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
        dict(own, bgr_to_rgb=False),
        dict(),
    ):
        with pytest.raises(ValueError, match=r'was trained with .*122\.7709'):
            backbone.check_data_preprocessor(
                preprocessor(**{'bgr_to_rgb': True, **other} if other else {})
            )
    # Random weights were trained with no normalisation.
    CLIPVisionBackbone(RESNET).check_data_preprocessor(preprocessor())


@pytest.mark.parametrize(
    ('name', 'stem'),
    [
        ('vit_tiny_patch16_224', {'trunk.patch_embed', 'trunk.cls_token'}),
        ('convnext_atto', {'trunk.stem'}),
    ],
)
def test_stem_and_first_stages_of_a_timm_tower_are_frozen(tmp_path, name, stem):
    import json

    vision = dict(timm_model_name=name, timm_proj='linear', image_size=224)
    config = dict(embed_dim=16, vision_cfg=vision, text_cfg={})
    (tmp_path / 'open_clip_config.json').write_text(json.dumps(config))
    backbone = CLIPVisionBackbone(
        f'local-dir:{tmp_path}',
        frozen_stages=1,
        out_indices=(0, -1),
        dense_mode='vanilla',
    )
    frozen = {n.removeprefix('tower.') for n, _ in backbone.named_parameters()}
    frozen -= {n.removeprefix('tower.') for n in trained(backbone)}
    stages = 'trunk.blocks' if 'vit' in name else 'trunk.stages'
    assert all(any(key.startswith(part) for key in frozen) for part in stem)
    assert any(key.startswith(f'{stages}.0.') for key in frozen)
    assert not any(key.startswith(f'{stages}.1.') for key in frozen)
    with torch.no_grad():
        *levels, dense, embedding = backbone.eval()(torch.randn(1, 3, 64, 96))
    assert dense.shape[:2] == (1, 16)
    assert embedding.shape == (1, 16, 1, 1)
    assert levels[1].shape[2:] == dense.shape[2:]


def test_a_dense_mode_that_a_tower_lacks_is_an_error_that_lists_its_modes():
    message = r"must be one of \('vanilla',\) with model_name='convnext_tiny'"
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        CLIPVisionBackbone('convnext_tiny', dense_mode='sclip')
