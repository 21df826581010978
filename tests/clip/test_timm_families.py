"""Every family of timm's image towers against open_clip, with small random models."""

import pytest
import timm
import torch
from open_clip.model import _build_vision_tower
from torch import nn
from torch.testing import assert_close

from mcdrl_mmseg.clip.dense import DENSE_MODES
from mcdrl_mmseg.clip.timm_tower import (
    build_timm_tower,
    timm_dense_modes,
    timm_features,
)
from mcdrl_mmseg.clip.towers import dense_modes

# Small members of each family that open_clip's architectures use.
SMALL = {
    'siglip': dict(timm_model_name='vit_base_patch16_siglip_224', timm_pool='map'),
    'eva02': dict(timm_model_name='eva02_base_patch16_clip_224', timm_pool='token'),
    'eva02-post-norm': dict(
        timm_model_name='eva02_enormous_patch14_clip_224', timm_pool='token'
    ),
    'convnext': dict(timm_model_name='convnext_atto', timm_proj='linear'),
    'mobileclip-s': dict(timm_model_name='fastvit_mci0', timm_pool='avg'),
    'mobileclip-b': dict(timm_model_name='vit_base_mci_224', timm_pool='token'),
    'pe-core': dict(timm_model_name='vit_pe_core_tiny_patch16_384', timm_pool='map'),
    'pe-core-bigg': dict(
        timm_model_name='vit_pe_core_gigantic_patch14_448', timm_pool='map'
    ),
    'vitamin': dict(timm_model_name='vitamin_small_224', timm_proj='linear'),
    'biomedclip': dict(
        timm_model_name='vit_base_patch16_224', timm_pool='', timm_proj='linear'
    ),
    'swin': dict(timm_model_name='swin_base_patch4_window7_224', timm_proj='linear'),
    'gap': dict(timm_model_name='vit_medium_patch16_gap_256', timm_proj='linear'),
}
NATIVE = {'pe-core': 384, 'pe-core-bigg': 448, 'gap': 256}
PATCH = {'eva02-post-norm': 14, 'pe-core-bigg': 14}
CONVOLUTIONAL = ('convnext', 'mobileclip-s', 'swin')
VANILLA = (*CONVOLUTIONAL, 'eva02-post-norm')
DIMS = 32


@pytest.fixture(scope='module', autouse=True)
def smaller_models():
    """timm's architectures with three blocks and a width of 64, where possible."""
    create = timm.create_model
    shrunk = {'depth': 3, 'embed_dim': 64, 'num_heads': 2}

    def small(name, **kwargs):
        if name.startswith(('vitamin', 'vit_base_mci')):
            # Their stems have a fixed width.
            kwargs = {'depth': 3, **kwargs}
        elif name.startswith(('vit_', 'eva02_')):
            kwargs = {**shrunk, **kwargs}
        elif name.startswith('swin'):
            small_swin = {'embed_dim': 32, 'depths': (1, 2, 2, 1)}
            kwargs = {**small_swin, 'num_heads': (1, 2, 4, 8), **kwargs}
        return create(name, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timm, 'create_model', small)
        yield


def shake(module: nn.Module) -> None:
    """Random weights that open every residual branch; a wrong one is then seen."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim < 2:
                parameter.add_(torch.randn_like(parameter) * 0.3)
            else:
                scale = parameter[0].numel() ** -0.5
                parameter.copy_(torch.randn_like(parameter) * scale)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)


def vision(family: str) -> dict:
    side = NATIVE.get(family, 224)
    return {'timm_proj': '', 'timm_pool': '', 'image_size': side, **SMALL[family]}


@pytest.fixture(scope='module', params=SMALL)
def pair(request):
    """Family, our tower, and open_clip's tower with the same weights."""
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = vision(request.param)
        theirs = _build_vision_tower(DIMS, config).eval()
        shake(theirs)
        ours = build_timm_tower(DIMS, config).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return request.param, ours, theirs


def images(height: int, width: int) -> torch.Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def test_the_embedding_at_native_size_equals_that_of_open_clip(pair):
    _, ours, theirs = pair
    inputs = images(*theirs.image_size)
    for mode in timm_dense_modes(ours)[-1:]:
        features = timm_features(ours, inputs, (), mode)
        embedding = features.image_embedding[..., 0, 0]
        assert embedding.std() > 1e-3
        assert_close(embedding, theirs(inputs), rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize('size', [(64, 64), (96, 160), (90, 75)])
def test_images_of_any_size_give_a_map_of_the_matching_grid(pair, size):
    family, ours, _ = pair
    stride = 32 if family in CONVOLUTIONAL else PATCH.get(family, 16)
    for mode in timm_dense_modes(ours):
        dense = timm_features(ours, images(*size), (), mode).dense_features
        assert dense.shape == (1, DIMS, *(-(-side // stride) for side in size))
        assert dense.isfinite().all()


@torch.no_grad()
def test_each_position_of_the_dense_map_is_the_head_applied_to_it_alone(pair):
    family, ours, theirs = pair
    inputs = images(*theirs.image_size)
    dense = timm_features(ours, inputs, (), 'vanilla').dense_features
    last = theirs.trunk.forward_features(inputs)
    if family not in CONVOLUTIONAL:
        rows = last[:, ours.trunk.num_prefix_tokens :].flatten(0, 1)
        # A token by itself; it is also the class token of pools that use one.
        single = rows[:, None]
        if theirs.trunk.attn_pool is None and theirs.trunk.global_pool == 'avg':
            prefix = ours.trunk.num_prefix_tokens
            single = torch.cat([single] * (1 + prefix), dim=1)
    elif family == 'swin':
        single = last.flatten(0, 2)[:, None, None]
    else:
        single = last.permute(0, 2, 3, 1).flatten(0, 2)[..., None, None]
    alone = theirs.head(theirs.trunk.forward_head(single))
    assert_close(dense.flatten(2)[0].T, alone, rtol=1e-4, atol=1e-4)


def test_dense_modes_are_offered_where_the_last_block_allows_them(pair):
    family, ours, _ = pair
    expected = ('vanilla',) if family in VANILLA else DENSE_MODES
    assert timm_dense_modes(ours) == expected == dense_modes(ours)


def plain_attention(query, key, value, mode, prefix):
    """What the block itself does, in place of a mode's attention."""
    attended = nn.functional.scaled_dot_product_attention(query, key, value)
    return attended[:, :, prefix:]


@pytest.mark.parametrize('pair', [f for f in SMALL if f not in VANILLA], indirect=True)
@torch.no_grad()
def test_dense_modes_change_only_the_attention_of_the_last_block(pair, monkeypatch):
    """With plain attention put back, the map equals that of the mode vanilla."""
    _, ours, _ = pair
    inputs = images(64, 96)
    vanilla = timm_features(ours, inputs, (), 'vanilla').dense_features
    changed = timm_features(ours, inputs, (), 'sclip').dense_features
    assert (changed - vanilla).abs().max() > 1e-2
    monkeypatch.setattr(
        'mcdrl_mmseg.clip.timm_blocks.self_self_attention', plain_attention
    )
    restored = timm_features(ours, inputs, (), 'sclip').dense_features
    assert_close(restored, vanilla, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_levels_are_maps_of_the_requested_blocks(pair):
    family, ours, _ = pair
    last = len(ours.trunk.feature_info) - 1
    features = timm_features(
        ours, images(64, 64), (1, last), timm_dense_modes(ours)[-1]
    )
    widths = [ours.trunk.feature_info[i]['num_chs'] for i in (1, last)]
    assert [level.shape[1] for level in features.levels] == widths
    # 64 is not a multiple of a patch of 14, but 70 is.
    side = 70 if PATCH.get(family) else 64
    padded = nn.functional.pad(images(64, 64), (0, side - 64, 0, side - 64))
    expected = ours.trunk.forward_intermediates(
        padded, indices=[1, last], intermediates_only=True
    )
    for level, wanted in zip(features.levels, expected):
        assert_close(level, wanted)


def test_a_native_size_that_the_patch_does_not_divide_is_cropped_like_open_clip():
    config = dict(
        timm_model_name='vit_so400m_patch14_siglip_384',
        timm_pool='map',
        timm_proj='',
        image_size=384,
    )
    theirs = _build_vision_tower(DIMS, config).eval()
    shake(theirs)
    ours = build_timm_tower(DIMS, config).eval()
    ours.load_state_dict(theirs.state_dict())
    inputs = images(384, 384)
    with torch.no_grad():
        features = timm_features(ours, inputs, (), 'vanilla')
        assert features.dense_features.shape[2:] == (27, 27)
        embedding = features.image_embedding[..., 0, 0]
        assert_close(embedding, theirs(inputs), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ('name', 'multiple'),
    [('vit_tiny_patch16_224', 16), ('vit_small_patch14_reg4_dinov2', 8)],
)
def test_a_graph_of_variable_size_takes_the_towers_own_size(name, multiple):
    """A comparison with the own size would make the graph refuse it.

    So would a question whether sides of 48 x 96 must be padded to patches of 14, as at
    56 x 56 they need not be.
    """
    from torch.export import Dim, export

    side = 4 * int(name.partition('patch')[2][:2])
    config = dict(timm_model_name=name, timm_pool='', image_size=side)
    tower = build_timm_tower(DIMS, config).eval()
    tower.trunk.blocks = tower.trunk.blocks[:2]
    shake(tower)

    class Embedding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.tower = tower

        def forward(self, inputs):
            return timm_features(self.tower, inputs, (), 'vanilla').image_embedding

    sides = {2: multiple * Dim('rows', min=2), 3: multiple * Dim('columns', min=2)}
    whole = Embedding()
    with torch.no_grad():
        graph = export(whole, (images(48, 96),), dynamic_shapes=[sides]).module()
        for size in ((side, side), (side, 32), (32, 2 * side)):
            inputs = images(*size)
            assert_close(graph(inputs), whole(inputs), rtol=0, atol=1e-5)


def test_gradients_are_the_same_with_gradient_checkpointing(pair):
    _, ours, _ = pair
    gradients = []
    for with_cp in (False, True):
        ours.zero_grad()
        mode = timm_dense_modes(ours)[-1]
        features = timm_features(ours, images(64, 64), (), mode, with_cp)
        total = features.dense_features.square().mean()
        (total + features.image_embedding.square().mean()).backward()
        gradients.append({n: p.grad for n, p in ours.named_parameters()})
    assert [name for name, grad in gradients[0].items() if grad is None] == []
    for name, grad in gradients[0].items():
        assert_close(gradients[1][name], grad, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(timm_model_name='resnet18', timm_pool='avg'), "timm's ResNet"),
        (dict(timm_model_name='hf-hub:someone/vit'), 'timm has no model'),
        (
            dict(timm_model_name='convnext_atto', timm_pool='abs_attn', timm_proj=''),
            "its pool 'abs_attn'",
        ),
    ],
)
def test_unsupported_towers_are_refused_with_the_reason(config, message):
    with pytest.raises(ValueError, match=message):
        build_timm_tower(DIMS, {'timm_proj': 'linear', 'image_size': 64, **config})
