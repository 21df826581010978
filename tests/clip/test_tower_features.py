import copy

import pytest
import torch
from torch.testing import assert_close

from mcdrl_mmseg.clip.dense import DENSE_MODES, dense_pooled_tokens, dense_vit_block
from mcdrl_mmseg.clip.tower_features import (
    ImageSizeError,
    resnet_features,
    vit_features,
)

FEATURES = {'mcdrl-tiny-vit': vit_features, 'mcdrl-tiny-rn': resnet_features}
# Blocks of the ViT and stages of the ResNet.
INDICES = {'mcdrl-tiny-vit': (1, 4, 5), 'mcdrl-tiny-rn': (0, 1, 2, 3)}
SIZES = {
    'mcdrl-tiny-vit': {'stride': 8, 'own': 112},
    'mcdrl-tiny-rn': {'stride': 32, 'own': 128},
}


def run(tiny_clip, x, mode='sclip', out_indices=(), **kwargs):
    name, model = tiny_clip
    with torch.no_grad():
        return FEATURES[name](model.visual, x, out_indices, mode, **kwargs)


@pytest.mark.parametrize('mode', DENSE_MODES)
def test_the_image_embedding_equals_that_of_open_clip_in_every_mode(
    tiny_clip, images, mode
):
    name, model = tiny_clip
    with torch.no_grad():
        expected = model.encode_image(images[name])
    result = run(tiny_clip, images[name], mode).image_embedding
    assert result.shape == (2, 128, 1, 1)
    assert_close(result.flatten(1), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('mode', DENSE_MODES)
def test_the_image_embedding_with_mean_pooling_equals_that_of_open_clip(
    tiny_clips, images, mode
):
    tower = copy.deepcopy(tiny_clips['mcdrl-tiny-vit'].visual)
    tower.pool_type = 'avg'
    with torch.no_grad():
        expected = tower(images['mcdrl-tiny-vit'])
        result = vit_features(tower, images['mcdrl-tiny-vit'], (), mode)
    assert_close(result.image_embedding.flatten(1), expected, atol=1e-4, rtol=1e-4)


def test_a_dense_mode_does_not_run_the_last_block_twice(tiny_clips, images):
    tower = copy.deepcopy(tiny_clips['mcdrl-tiny-vit'].visual)
    runs = []
    tower.transformer.resblocks[-1].mlp.register_forward_hook(lambda *_: runs.append(1))
    with torch.no_grad():
        vit_features(tower, images['mcdrl-tiny-vit'][:1], (0,), 'sclip')
    assert len(runs) == 1


def test_levels_equal_the_intermediates_of_open_clip(tiny_clip, images):
    name, model = tiny_clip
    indices = INDICES[name]
    # open_clip counts the ResNet's stem as its first intermediate.
    theirs = [i + (name == 'mcdrl-tiny-rn') for i in indices]
    with torch.no_grad():
        expected = model.visual.forward_intermediates(
            images[name], indices=theirs, output_fmt='NCHW'
        )['image_intermediates']
    levels = run(tiny_clip, images[name], out_indices=indices).levels
    assert len(levels) == len(indices)
    for level, other in zip(levels, expected):
        assert_close(level, other, atol=1e-4, rtol=1e-4)


def test_levels_do_not_depend_on_the_mode(tiny_clip, images):
    name, _ = tiny_clip
    one, other = (
        run(tiny_clip, images[name], mode, INDICES[name]).levels
        for mode in ('vanilla', 'maskclip')
    )
    assert all(torch.equal(a, b) for a, b in zip(one, other))


def test_the_vanilla_vit_map_projects_the_tokens_of_the_last_block(tiny_clips, images):
    tower = tiny_clips['mcdrl-tiny-vit'].visual
    x = images['mcdrl-tiny-vit']
    with torch.no_grad():
        last = tower.forward_intermediates(x, indices=[5])['image_intermediates'][0]
        result = vit_features(tower, x, (), 'vanilla').dense_features
        for row, column in ((0, 0), (3, 9), (13, 13)):
            token = tower.ln_post(last[:, :, row, column]) @ tower.proj
            assert_close(result[:, :, row, column], token, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('mode', ['maskclip', 'sclip', 'clearclip'])
def test_the_vit_map_reruns_only_the_last_block(tiny_clips, images, mode):
    tower = tiny_clips['mcdrl-tiny-vit'].visual
    x = images['mcdrl-tiny-vit']
    with torch.no_grad():
        before = tower._embeds(x)
        for block in tower.transformer.resblocks[:-1]:
            before = block(before)
        last = tower.transformer.resblocks[-1]
        tokens = tower.ln_post(dense_vit_block(last, before, mode)[:, 1:]) @ tower.proj
        result = vit_features(tower, x, (), mode).dense_features
    assert_close(result.flatten(2), tokens.transpose(1, 2), atol=1e-4, rtol=1e-4)


def pooled_input(tower, x):
    """Tokens before the attention pool, mean first, without positions."""
    last = tower.forward_intermediates(x, indices=[4])['image_intermediates'][0]
    flat = last.flatten(2).transpose(1, 2)
    return torch.cat([flat.mean(dim=1, keepdim=True), flat], dim=1)


@pytest.mark.parametrize('mode', ['vanilla', 'sclip', 'clearclip'])
def test_the_resnet_map_pools_at_every_position_with_position_embeddings(
    tiny_clips, images, mode
):
    tower = tiny_clips['mcdrl-tiny-rn'].visual
    x = images['mcdrl-tiny-rn']
    with torch.no_grad():
        pool = tower.attnpool
        expected = dense_pooled_tokens(
            pool, pooled_input(tower, x), pool.positional_embedding, mode
        )[:, 1:]
        result = resnet_features(tower, x, (), mode).dense_features
    assert result.shape == (2, 128, 4, 4)
    assert_close(result.flatten(2), expected.transpose(1, 2), atol=1e-4, rtol=1e-4)


def test_resnet_maskclip_map_is_value_and_output_projection_without_positions(
    tiny_clips, images
):
    tower = tiny_clips['mcdrl-tiny-rn'].visual
    x = images['mcdrl-tiny-rn']
    with torch.no_grad():
        tokens = pooled_input(tower, x)[:, 1:]
        expected = tower.attnpool.c_proj(tower.attnpool.v_proj(tokens))
        result = resnet_features(tower, x, (), 'maskclip').dense_features
    assert_close(result.flatten(2), expected.transpose(1, 2), atol=1e-4, rtol=1e-4)


def test_dense_modes_give_different_maps(tiny_clip, images):
    name, _ = tiny_clip
    maps = [run(tiny_clip, images[name], m).dense_features for m in DENSE_MODES]
    for i, one in enumerate(maps):
        assert all(not torch.allclose(one, other, atol=1e-2) for other in maps[:i])


@pytest.mark.parametrize('size', [(64, 96), (160, 128), (96, 96)])
@pytest.mark.parametrize('mode', DENSE_MODES)
def test_images_of_any_size_give_a_map_of_the_matching_size(tiny_clip, size, mode):
    name, _ = tiny_clip
    x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(3))
    result = run(tiny_clip, x, mode)
    stride = SIZES[name]['stride']
    assert result.dense_features.shape == (1, 128, size[0] // stride, size[1] // stride)
    assert result.image_embedding.shape == (1, 128, 1, 1)
    assert result.dense_features.isfinite().all()


def test_rows_and_columns_of_a_map_are_those_of_the_image(tiny_clip):
    """A change at the image's upper right changes the map there most."""
    x = torch.randn(1, 3, 64, 128, generator=torch.Generator().manual_seed(4))
    changed = x.clone()
    changed[..., :32, 96:] += 3
    one, other = (run(tiny_clip, i, 'maskclip').dense_features for i in (x, changed))
    change = (one - other).norm(dim=1)[0]
    rows, columns = change.shape
    inside = torch.zeros(rows, columns, dtype=torch.bool)
    inside[: rows // 2, columns * 3 // 4 :] = True
    assert change[inside].mean() > 2 * change[~inside].mean()


@pytest.mark.parametrize('size', [(61, 75), (112, 109)])
def test_vit_pads_images_whose_size_is_not_a_multiple_of_the_patch(tiny_clips, size):
    tower = tiny_clips['mcdrl-tiny-vit'].visual
    x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(5))
    rows, columns = -(-size[0] // 8), -(-size[1] // 8)
    padded = torch.zeros(1, 3, rows * 8, columns * 8)
    padded[..., : size[0], : size[1]] = x
    with torch.no_grad():
        result = vit_features(tower, x, (0,), 'sclip')
        expected = vit_features(tower, padded, (0,), 'sclip')
    assert result.dense_features.shape[2:] == (rows, columns)
    assert torch.equal(result.dense_features, expected.dense_features)
    assert torch.equal(result.levels[0], expected.levels[0])


def test_resnet_accepts_sizes_that_are_not_a_multiple_of_its_stride(tiny_clips):
    tower = tiny_clips['mcdrl-tiny-rn'].visual
    with torch.no_grad():
        result = resnet_features(tower, torch.zeros(1, 3, 100, 70), (0, 3), 'sclip')
    assert result.dense_features.shape == (1, 128, 3, 2)
    assert result.levels[0].shape[2:] == (25, 17)


@pytest.mark.parametrize('side', [1, 16, 30])
def test_images_too_small_for_the_resnet_give_an_error_with_the_least_size(
    tiny_clips, side
):
    tower = tiny_clips['mcdrl-tiny-rn'].visual
    with pytest.raises(ImageSizeError) as refused:
        resnet_features(tower, torch.zeros(1, 3, 64, side), (0, 3), 'maskclip')
    text = f'images of 64 x {side} pixels are too small'
    assert str(refused.value).startswith(text)
    assert 'at least 32 pixels a side' in str(refused.value)
    resnet_features(tower, torch.zeros(1, 3, 64, 32), (0, 3), 'maskclip')


@pytest.mark.parametrize('mode', ['vanilla', 'sclip'])
def test_gradient_checkpointing_changes_neither_results_nor_gradients(
    tiny_clip, images, mode
):
    name, model = tiny_clip
    outputs, gradients = [], []
    for with_cp in (False, True):
        tower = copy.deepcopy(model.visual).train()
        out = FEATURES[name](tower, images[name][:, :, :64, :64], (0,), mode, with_cp)
        total = out.dense_features.square().mean() + out.image_embedding.mean()
        total.backward()
        outputs.append(out)
        gradients.append({k: p.grad for k, p in tower.named_parameters()})
    assert torch.equal(outputs[0].dense_features, outputs[1].dense_features)
    assert torch.equal(outputs[0].image_embedding, outputs[1].image_embedding)
    assert all(gradient is not None for gradient in gradients[0].values())
    for key, gradient in gradients[0].items():
        assert_close(gradients[1][key], gradient, msg=key)


def test_gradient_checkpointing_keeps_less_than_a_third_of_the_activations(
    tiny_clips, images
):
    """It is worth its time only if it saves memory for the backward pass."""
    tower = tiny_clips['mcdrl-tiny-vit'].visual
    kept = []
    for with_cp in (False, True):
        count = 0

        def pack(tensor):
            nonlocal count
            count += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            vit_features(tower, images['mcdrl-tiny-vit'][:1], (), 'vanilla', with_cp)
        kept.append(count)
    assert kept[1] < kept[0] / 3


@pytest.mark.parametrize('sides', [(32, 128), (128, 32), (32, 64)])
@torch.no_grad()
def test_a_tower_of_images_that_are_not_square_gives_the_embedding_of_open_clip(sides):
    """Its 2 x 8 positions are as many as those of a square grid."""
    from open_clip.transformer import VisionTransformer

    torch.manual_seed(0)
    tower = VisionTransformer(sides, 16, 32, 2, 2, 2, output_dim=8).eval()
    x = torch.randn(2, 3, *sides)
    result = vit_features(tower, x, (), 'vanilla')
    assert_close(result.image_embedding.flatten(1), tower(x))
    # Four times the area.
    larger = vit_features(tower, x.repeat(1, 1, 2, 2), (), 'vanilla').dense_features
    assert larger.shape[2:] == (sides[0] // 8, sides[1] // 8)
