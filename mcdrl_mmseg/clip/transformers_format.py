"""Convert a CLIP saved by transformers' ``CLIPModel`` to open_clip's layout."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

# Defaults, which transformers leaves out of a saved config.
_VISION = dict(
    hidden_size=768,
    intermediate_size=3072,
    num_hidden_layers=12,
    num_attention_heads=12,
    image_size=224,
    patch_size=32,
    hidden_act='quick_gelu',
    layer_norm_eps=1e-5,
)
_TEXT = dict(
    hidden_size=512,
    intermediate_size=2048,
    num_hidden_layers=12,
    num_attention_heads=8,
    max_position_embeddings=77,
    vocab_size=49408,
    hidden_act='quick_gelu',
    layer_norm_eps=1e-5,
    eos_token_id=49407,
)
_CLIP_VOCABULARY = 49408  # of OpenAI's tokenizer, which is part of open_clip
# transformers then reads a text at its highest token, as OpenAI's code does.
_OLD_EOS = 2
# What open_clip's towers can be built with.
_POSSIBLE = dict(hidden_act=('quick_gelu', 'gelu'), layer_norm_eps=(1e-5,))

_TOWERS = {'vision_model.': 'visual.', 'text_model.': 'text.'}
_NAMES = {
    'embeddings.class_embedding': 'class_embedding',
    'embeddings.patch_embedding.weight': 'conv1.weight',
    'embeddings.position_embedding.weight': 'positional_embedding',
    'embeddings.token_embedding.weight': 'token_embedding.weight',
    'pre_layrnorm.': 'ln_pre.',  # transformers' spelling
    'post_layernorm.': 'ln_post.',
    'final_layer_norm.': 'ln_final.',
    'self_attn.out_proj.': 'attn.out_proj.',
    'layer_norm1.': 'ln_1.',
    'layer_norm2.': 'ln_2.',
    'mlp.fc1.': 'mlp.c_fc.',
    'mlp.fc2.': 'mlp.c_proj.',
}
_LAYER = re.compile(r'^encoder\.layers\.(\d+)\.(.*)$')
_PROJECTIONS = {
    'visual_projection.weight': 'visual.proj',
    'text_projection.weight': 'text.text_projection',
}


def open_clip_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a ``CLIPModel``'s config to open_clip's ``model_cfg``.

    Args:
        config: Content of its ``config.json``.

    Raises:
        ValueError: open_clip's towers cannot compute what this model does; the message
            names the entry.
    """
    vision = {**_VISION, **(config.get('vision_config') or {})}
    text = {**_TEXT, **(config.get('text_config') or {})}
    for name, tower in (('vision_config', vision), ('text_config', text)):
        for key, possible in _POSSIBLE.items():
            _check_entry(f'{name}.{key}', tower[key], possible)
    act = vision['hidden_act']
    _check_entry('text_config.hidden_act', text['hidden_act'], (act,))
    return dict(
        embed_dim=config.get('projection_dim', 512),
        quick_gelu=act == 'quick_gelu',
        vision_cfg=dict(
            image_size=vision['image_size'],
            patch_size=vision['patch_size'],
            layers=vision['num_hidden_layers'],
            width=vision['hidden_size'],
            head_width=vision['hidden_size'] // vision['num_attention_heads'],
            mlp_ratio=vision['intermediate_size'] / vision['hidden_size'],
        ),
        text_cfg=dict(
            context_length=text['max_position_embeddings'],
            vocab_size=text['vocab_size'],
            width=text['hidden_size'],
            heads=text['num_attention_heads'],
            layers=text['num_hidden_layers'],
            mlp_ratio=text['intermediate_size'] / text['hidden_size'],
            **_own_words(text),
        ),
    )


def _check_entry(key: str, value: Any, possible: Sequence[Any]) -> None:
    if value not in possible:
        raise ValueError(
            f'{key}={value!r} is not supported: the features would be wrong. Expected '
            f'{" or ".join(map(repr, possible))}.'
        )


def _own_words(text: Mapping[str, Any]) -> dict[str, Any]:
    """Entries for a tokenizer of the model's own."""
    if text['vocab_size'] == _CLIP_VOCABULARY:
        return {}
    entries = dict(hf_tokenizer_name='tokenizer of the folder')
    if text['eos_token_id'] == _OLD_EOS:
        return entries
    return dict(**entries, pool_type='eos', eos_id=text['eos_token_id'])


def is_transformers_clip(state: Mapping[str, Any]) -> bool:
    """Whether keys are those of a ``CLIPModel``."""
    return 'vision_model.embeddings.class_embedding' in state


def convert_clip_model(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert weights of a ``CLIPModel`` to open_clip's layout of separate towers.

    Args:
        state: Its state dict.

    Returns:
        ``visual.*``, ``text.*`` and ``logit_scale``; unknown keys keep their name.
    """
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.endswith('.position_ids'):
            continue
        if key in _PROJECTIONS:
            out[_PROJECTIONS[key]] = value.T.contiguous()
            continue
        tower = next((name for name in _TOWERS if key.startswith(name)), None)
        if tower is None:
            out[key] = value
        elif '.self_attn.k_proj.' in key or '.self_attn.v_proj.' in key:
            continue  # converted together with q_proj
        elif '.self_attn.q_proj.' in key:
            parts = [key.replace('.q_proj.', f'.{name}_proj.') for name in 'qkv']
            name = key.replace('.self_attn.q_proj.', '.attn.in_proj_')
            out[_renamed(name, tower)] = torch.cat([state[part] for part in parts])
        else:
            out[_renamed(key, tower)] = value
    return out


def _renamed(key: str, tower: str) -> str:
    name = key.removeprefix(tower)
    layer = _LAYER.match(name)
    prefix = ''
    if layer:
        prefix, name = f'transformer.resblocks.{layer[1]}.', layer[2]
    for theirs, ours in _NAMES.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
            break
    return _TOWERS[tower] + prefix + name
