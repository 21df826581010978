"""transformers' ``CLIPModel``, against its own forward pass where it is installed."""

import json

import pytest
import torch
from local_clips import write_tokenizer
from torch.nn import functional as F
from torch.testing import assert_close

from mcdrl_mmseg.clip import CLIPSpec, embed_texts
from mcdrl_mmseg.clip.model_config import get_model_config
from mcdrl_mmseg.clip.model_source import ModelSourceError
from mcdrl_mmseg.clip.normalisation import normalisation_of
from mcdrl_mmseg.clip.text import tokenize
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


@torch.no_grad()
def test_prompts_are_read_at_the_end_token_of_the_models_own_tokenizer(tmp_path):
    """Its end token, 3, is below all words: the highest id is a word of the prompt."""
    transformers = pytest.importorskip(
        'transformers', reason='the extra [hf] is not installed'
    )
    write_tokenizer(tmp_path)
    shared = dict(num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)
    config = transformers.CLIPConfig(
        vision_config=dict(hidden_size=32, image_size=64, patch_size=16, **shared),
        text_config=dict(
            hidden_size=24,
            max_position_embeddings=12,
            vocab_size=16,
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
            **shared,
        ),
        projection_dim=20,
    )
    torch.manual_seed(0)
    model = transformers.CLIPModel(config).eval()
    for parameter in model.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path)
    spec, texts = CLIPSpec(f'local-dir:{tmp_path}'), ['blur polyp a', 'blur polyp of']
    tokens = tokenize(spec, texts)
    assert (tokens.argmax(dim=1) == 1).all()  # blur
    pooled = model.text_model(input_ids=tokens).pooler_output
    expected = F.normalize(model.text_projection(pooled), dim=-1)
    assert_close(embed_texts(spec, texts), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(vision_config=dict(hidden_act='gelu_new')), 'vision_config.hidden_act'),
        (dict(text_config=dict(layer_norm_eps=1e-6)), 'text_config.layer_norm_eps'),
        (
            dict(vision_config=dict(hidden_act='gelu')),
            "text_config.hidden_act='quick_gelu' is not supported.*Expected 'gelu'",
        ),
    ],
)
def test_a_model_that_the_towers_cannot_compute_is_refused(tmp_path, config, message):
    path = tmp_path / 'config.json'
    path.write_text(json.dumps(dict(model_type='clip', **config)))
    with pytest.raises(ModelSourceError, match=f'{path}: {message}'):
        get_model_config(f'local-dir:{tmp_path}')
