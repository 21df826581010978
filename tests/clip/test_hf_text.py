"""Hugging Face text towers and tokenizers, made by the tests and read offline."""

import json

import pytest
import torch
from local_clips import whole_model, write_biomedclip, write_siglip2
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from torch.testing import assert_close

from mcdrl_common import InputError
from mcdrl_mmseg.clip import CLIPSpec, CLIPWeightsError, embed_texts
from mcdrl_mmseg.clip.hf_text import tokenizer_options
from mcdrl_mmseg.clip.model_source import ModelSourceError
from mcdrl_mmseg.clip.text import tokenize
from mcdrl_mmseg.clip.towers import (
    build_image_tower,
    build_text_tower,
    load_tower_weights,
)

pytest.importorskip('transformers', reason='the extra [hf] is not installed')

TEXTS = ['a polyp with blur', 'an ulcer']
WRITERS = {'biomedclip': write_biomedclip, 'siglip2': write_siglip2}


@pytest.fixture(scope='module', params=WRITERS)
def model_name(request, tmp_path_factory) -> str:
    torch.set_num_threads(1)
    return WRITERS[request.param](tmp_path_factory.mktemp('clips') / request.param)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('the network was asked for')

    monkeypatch.setattr('socket.socket.connect', refuse)


def test_texts_are_tokenized_with_the_tokenizer_of_the_folder(model_name):
    tokens = tokenize(CLIPSpec(model_name), TEXTS)
    assert tokens.shape == (2, 12)
    # [CLS] a polyp with blur [SEP]; words are numbered after the 4 special tokens.
    assert tokens[0].tolist() == [2, 4, 8, 10, 11, 3] + [0] * 6


@torch.no_grad()
def test_text_embeddings_equal_those_of_open_clip(model_name):
    spec = CLIPSpec(model_name)
    theirs = whole_model(model_name)
    expected = F.normalize(theirs.encode_text(tokenize(spec, TEXTS)), dim=-1)
    assert expected[0] @ expected[1] < 0.999
    assert_close(embed_texts(spec, TEXTS), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_image_embeddings_equal_those_of_open_clip(model_name):
    from mcdrl_mmseg.clip import timm_features

    spec = CLIPSpec(model_name)
    tower = build_image_tower(spec).eval()
    load_tower_weights(tower, spec, 'visual.')
    theirs = whole_model(model_name)
    side = theirs.visual.trunk.patch_embed.img_size[0]
    images = torch.randn(1, 3, side, side)
    embedding = timm_features(tower, images, (), 'vanilla').image_embedding
    expected = theirs.encode_image(images)
    assert_close(embedding[..., 0, 0], expected, rtol=0, atol=1e-5)


def test_position_ids_in_older_files_are_dropped_and_other_unknown_keys_refused(
    tmp_path,
):
    name = write_biomedclip(tmp_path)
    path = tmp_path / 'open_clip_model.safetensors'
    expected = embed_texts(CLIPSpec(name), TEXTS)
    state = load_file(path)
    state['text.transformer.embeddings.position_ids'] = torch.arange(16)[None]
    save_file(state, path)
    assert_close(embed_texts(CLIPSpec(name), TEXTS), expected)
    state['text.transformer.embeddings.other'] = torch.zeros(1)
    save_file(state, path)
    with pytest.raises(CLIPWeightsError, match=r'embeddings\.other'):
        embed_texts(CLIPSpec(name), TEXTS)


@pytest.mark.parametrize('shape', [(), (1,)])
def test_a_logit_bias_of_any_shape_is_not_loaded_into_a_tower(tmp_path, shape):
    name = write_siglip2(tmp_path)
    path = tmp_path / 'open_clip_model.safetensors'
    state = load_file(path)
    assert 'logit_bias' in state
    state['logit_bias'] = torch.full(shape, -16.0)
    save_file(state, path)
    spec = CLIPSpec(name)
    load_tower_weights(build_text_tower(spec), spec, 'text.')
    load_tower_weights(build_image_tower(spec), spec, 'visual.')


def test_a_text_tower_is_float32_even_if_its_config_says_float16(tmp_path):
    name = write_biomedclip(tmp_path, weights=False)
    path = tmp_path / 'text' / 'config.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'dtype': 'float16'}))
    tower = build_text_tower(CLIPSpec(name))
    assert {p.dtype for p in tower.parameters()} == {torch.float32}


def test_code_in_the_repository_of_a_text_tower_is_not_run(tmp_path):
    name = write_biomedclip(tmp_path, weights=False)
    (tmp_path / 'text' / 'evil.py').write_text('raise SystemExit("run")')
    path = tmp_path / 'text' / 'config.json'
    path.write_text(
        json.dumps({'model_type': 'mine', 'auto_map': {'AutoConfig': 'evil.Config'}})
    )
    with pytest.raises(ModelSourceError, match='needs code from its repository'):
        build_text_tower(CLIPSpec(name))


def test_code_in_the_folder_of_a_tokenizer_is_not_run(tmp_path):
    name = write_siglip2(tmp_path, weights=False)
    (tmp_path / 'evil.py').write_text('raise SystemExit("run")')
    (tmp_path / 'tokenizer.json').unlink()
    auto = {'AutoTokenizer': ['evil.Tokenizer', None]}
    content = {'tokenizer_class': 'Tokenizer', 'auto_map': auto}
    (tmp_path / 'tokenizer_config.json').write_text(json.dumps(content))
    with pytest.raises(ModelSourceError, match='was not found'):
        tokenize(CLIPSpec(name), TEXTS)


def test_tokenizer_options_that_could_run_code_are_refused():
    options = {'clean': 'canonicalize', 'trust_remote_code': True}
    with pytest.raises(ModelSourceError, match='trust_remote_code'):
        tokenizer_options('m', {'tokenizer_kwargs': options}, ('clean',))


def test_a_model_without_weights_does_not_download_a_tokenizer():
    with pytest.raises(
        ModelSourceError, match=r"'timm/ViT-B-16-SigLIP2' .* was not found"
    ):
        tokenize(CLIPSpec('ViT-B-16-SigLIP2'), TEXTS)


@pytest.mark.parametrize('end', [7, 2])
def test_an_eos_id_that_the_tokenizer_does_not_append_is_refused(tmp_path, end):
    options = dict(no_causal_mask=False, pool_type='eos')
    name = write_siglip2(tmp_path / 'right', eos_id=3, **options)
    one, other = embed_texts(CLIPSpec(name), TEXTS[:2])
    assert not torch.allclose(one, other, atol=1e-2)
    name = write_siglip2(tmp_path / 'wrong', eos_id=end, **options)
    with pytest.raises(ValueError, match=rf'eos_id={end}, .*the last token is 3'):
        embed_texts(CLIPSpec(name), TEXTS)


def test_a_prompt_longer_than_the_context_is_refused_and_not_cut(model_name):
    """Of 12 tokens two are the start and the end token."""
    spec = CLIPSpec(model_name)
    whole = 'a polyp with blur in the image of an ulcer'
    assert (tokenize(spec, [whole])[0] != 0).all()
    assert embed_texts(spec, [whole]).shape == (1, 32)
    with pytest.raises(InputError, match="ulcer polyp' is longer than the 12 tokens"):
        embed_texts(spec, [whole, f'{whole} polyp'])


@pytest.mark.parametrize('name', ['tokenizer.json', 'text/config.json'])
def test_the_identity_follows_tokenizer_and_text_config_of_the_folder(tmp_path, name):
    """Else embeddings of another tokenizer would be read from the cache."""
    spec = CLIPSpec(write_biomedclip(tmp_path))
    before = spec.identity()
    path = tmp_path / name
    path.write_text(path.read_text() + ' ')
    after = spec.identity()
    assert after.pop('text_tower') != before.pop('text_tower')
    assert after == before
