"""transformers' ``CLIPModel``, against its own forward pass where it is installed."""

import json

import pytest
import torch
from torch.testing import assert_close

from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.clip.model_config import get_model_config
from mcdrl_mmseg.clip.normalisation import normalisation_of
from mcdrl_mmseg.clip.towers import (
    build_image_tower,
    build_text_tower,
    load_tower_weights,
)
from mcdrl_mmseg.clip.transformers_format import convert_clip_model, open_clip_config


def test_defaults_that_transformers_leaves_out_are_those_of_vit_b_32():
    found = open_clip_config({'model_type': 'clip'})
    known = get_model_config('ViT-B-32-quickgelu')
    assert found['embed_dim'] == known['embed_dim']
    assert found['quick_gelu']
    assert known['vision_cfg'].items() <= found['vision_cfg'].items()
    assert known['text_cfg'].items() <= found['text_cfg'].items()


def test_queries_keys_and_values_are_stacked_in_this_order():
    layer = 'text_model.encoder.layers.3.self_attn.'
    state = {
        f'{layer}{name}_proj.bias': torch.full((2,), float(number))
        for number, name in enumerate('qkv')
    }
    state['text_projection.weight'] = torch.tensor([[1.0, 2.0, 3.0]])
    state['text_model.embeddings.position_ids'] = torch.arange(4)
    found = convert_clip_model(state)
    key = 'text.transformer.resblocks.3.attn.in_proj_bias'
    assert set(found) == {key, 'text.text_projection'}
    assert found[key].tolist() == [0, 0, 1, 1, 2, 2]
    assert found['text.text_projection'].tolist() == [[1], [2], [3]]


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    """A small ``CLIPModel`` as ``save_pretrained`` writes it."""
    transformers = pytest.importorskip(
        'transformers', reason='the extra [hf] is not installed'
    )
    folder = tmp_path_factory.mktemp('clip_model')
    shared = dict(
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        hidden_act='quick_gelu',
    )
    config = transformers.CLIPConfig(
        vision_config=dict(hidden_size=32, image_size=64, patch_size=16, **shared),
        text_config=dict(hidden_size=24, max_position_embeddings=16, **shared),
        projection_dim=20,
    )
    torch.manual_seed(0)
    model = transformers.CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
            parameter.add_(torch.randn_like(parameter) * scale)
    model.save_pretrained(folder)
    half = dict(image_mean=[0.5] * 3, image_std=[0.25] * 3)
    (folder / 'preprocessor_config.json').write_text(json.dumps(half))
    return folder, model


@torch.no_grad()
def test_both_towers_of_a_folder_give_the_embeddings_of_transformers(published):
    folder, model = published
    spec = CLIPSpec(f'local-dir:{folder}')
    assert spec.uses_quick_gelu
    assert normalisation_of(spec) == ((0.5,) * 3, (0.25,) * 3)
    images = torch.randn(2, 3, 64, 64)
    visual = build_image_tower(spec).eval()
    load_tower_weights(visual, spec, 'visual.')
    vision = model.vision_model(pixel_values=images).pooler_output
    assert_close(visual(images), model.visual_projection(vision), rtol=0, atol=1e-5)
    tokens = torch.zeros(1, 16, dtype=torch.long)
    tokens[0, :4] = torch.tensor([49406, 320, 1125, 49407])
    text = build_text_tower(spec).eval()
    load_tower_weights(text, spec, 'text.')
    pooled = model.text_model(input_ids=tokens).pooler_output
    assert_close(text(tokens), model.text_projection(pooled), rtol=0, atol=1e-5)


def test_a_weights_file_without_its_folder_is_converted_too(published, tmp_path):
    folder, model = published
    path = tmp_path / 'pytorch_model.bin'
    state = model.state_dict()
    state['vision_model.embeddings.position_ids'] = torch.arange(17)[None]
    torch.save(state, path)
    spec = CLIPSpec(f'local-dir:{folder}', str(path))
    tower = build_image_tower(spec)
    load_tower_weights(tower, spec, 'visual.')
    expected = model.visual_projection.weight.T
    assert_close(tower.proj.data, expected.data)
