"""The dense modes against loops in float64 NumPy."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mcdrl_mmseg.clip.dense import (
    DENSE_MODES,
    dense_pooled_tokens,
    dense_vit_block,
    merge_heads,
    self_self_attention,
    split_heads,
)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def reference_attention(query, key, value, mode):
    """(heads, 1 + L, c) each, one image -> (heads, L, c), position by position."""
    heads, length, width = query.shape
    out = np.zeros((heads, length - 1, width))
    for head in range(heads):
        q, k, v = query[head], key[head], value[head]
        for i in range(1, length):
            if mode == 'maskclip':
                out[head, i - 1] = v[i]
            elif mode == 'vanilla':
                out[head, i - 1] = softmax(k @ q[i] / width**0.5) @ v
            else:
                out[head, i - 1] = softmax(q @ q[i] / width**0.5) @ v
                if mode == 'sclip':
                    out[head, i - 1] += softmax(k @ k[i] / width**0.5) @ v
    return out


def reference_heads(tokens, num_heads):
    """(L, c) -> (heads, L, c / heads)."""
    return np.stack(np.split(tokens, num_heads, axis=1))


def linear(x, layer):
    return x @ array(layer.weight).T + array(layer.bias)


def array(tensor):
    return tensor.detach().double().numpy()


def layer_norm(x, norm):
    mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    return (x - mean) / np.sqrt(var + norm.eps) * array(norm.weight) + array(norm.bias)


@pytest.mark.parametrize('mode', ['maskclip', 'sclip', 'clearclip'])
def test_self_self_attention_equals_a_loop_over_positions(mode):
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 6, 5, generator=generator).double()
    result = self_self_attention(query, key, value, mode).numpy()
    for image in range(2):
        expected = reference_attention(
            query[image].numpy(), key[image].numpy(), value[image].numpy(), mode
        )
        np.testing.assert_allclose(result[image], expected, rtol=1e-10)


def test_clearclip_on_two_positions_equals_values_worked_out_by_hand():
    """Queries 0 and ln 2 at width 1: equal weights, and weights 1 : 1 : 2^ln 2."""
    ln2 = float(np.log(2))
    query = torch.tensor([0.0, 0.0, ln2]).view(1, 1, 3, 1)
    value = torch.tensor([3.0, 6.0, 9.0]).view(1, 1, 3, 1)
    result = self_self_attention(query, query, value, 'clearclip').flatten()
    # Position 1 has query 0: all three weights are 1/3.
    assert result[0].item() == pytest.approx(6.0)
    # Position 2: logits 0, 0, ln2^2.
    weight = np.exp(ln2**2)
    expected = (3 + 6 + 9 * weight) / (2 + weight)
    assert result[1].item() == pytest.approx(expected, rel=1e-6)


@pytest.fixture(scope='module')
def block(tiny_clips):
    return tiny_clips['mcdrl-tiny-vit'].visual.transformer.resblocks[-1]


@pytest.mark.parametrize('mode', ['maskclip', 'sclip', 'clearclip'])
def test_vit_block_rerun_equals_float64_reference(block, mode):
    tokens = torch.randn(2, 7, 192, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        result = dense_vit_block(block, tokens, mode)[:, 1:].numpy()
    attention = block.attn
    for image in range(2):
        x = array(tokens[image])
        projected = layer_norm(x, block.ln_1) @ array(attention.in_proj_weight).T
        projected += array(attention.in_proj_bias)
        parts = [reference_heads(p, 3) for p in np.split(projected, 3, axis=1)]
        attended = reference_attention(*parts, mode)
        out = linear(np.concatenate(attended, axis=1), attention.out_proj)
        if mode != 'clearclip':
            out = x[1:] + out
            hidden = linear(layer_norm(out, block.ln_2), block.mlp.c_fc)
            gelu = nn.functional.gelu(torch.from_numpy(hidden)).numpy()
            out = out + linear(gelu, block.mlp.c_proj)
        np.testing.assert_allclose(result[image], out, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize('mode', ['maskclip', 'sclip', 'clearclip'])
def test_pooled_token_of_the_rerun_equals_that_of_the_block(block, mode):
    tokens = torch.randn(2, 7, 192, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        result = dense_vit_block(block, tokens, mode)[:, 0]
        assert_close(result, block(tokens)[:, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('mode', DENSE_MODES)
def test_attention_pool_at_every_position_equals_float64_reference(tiny_clips, mode):
    pool = tiny_clips['mcdrl-tiny-rn'].visual.attnpool
    width = pool.q_proj.in_features
    tokens = torch.randn(2, 7, width, generator=torch.Generator().manual_seed(2))
    positions = torch.randn(7, width, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        result = dense_pooled_tokens(pool, tokens, positions, mode)[:, 1:].numpy()
    for image in range(2):
        x = array(tokens[image])
        if mode != 'maskclip':
            x = x + array(positions)
        query, key, value = (
            reference_heads(linear(x, p), pool.num_heads)
            for p in (pool.q_proj, pool.k_proj, pool.v_proj)
        )
        attended = reference_attention(query, key, value, mode)
        out = linear(np.concatenate(attended, axis=1), pool.c_proj)
        np.testing.assert_allclose(result[image], out, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('mode', DENSE_MODES)
def test_pooled_token_of_the_dense_pass_equals_the_output_of_the_attention_pool(
    tiny_clips, mode
):
    pool = tiny_clips['mcdrl-tiny-rn'].visual.attnpool
    feature = torch.randn(
        2, pool.q_proj.in_features, 4, 4, generator=torch.Generator().manual_seed(2)
    )
    tokens = feature.flatten(2).transpose(1, 2)
    tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)
    with torch.no_grad():
        result = dense_pooled_tokens(pool, tokens, pool.positional_embedding, mode)
        assert_close(result[:, 0], pool(feature), atol=1e-5, rtol=1e-5)


def test_splitting_and_merging_heads_are_inverse():
    tokens = torch.arange(24.0).view(1, 3, 8)
    heads = split_heads(tokens, 2)
    assert heads.shape == (1, 2, 3, 4)
    assert heads[0, 1, 2].tolist() == [20, 21, 22, 23]
    assert torch.equal(merge_heads(heads), tokens)
