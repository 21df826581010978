"""Texts of a model whose text side is sentence vectors and a projection."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from torch.testing import assert_close

from mcdrl_mmseg.clip import CLIPSpec, CLIPWeightsError, embed_texts, sentence_text
from mcdrl_mmseg.clip.sentence_encoder import EMBED_DIMS, SentenceEncoderError
from mcdrl_mmseg.clip.sentence_text import (
    UnknownTextError,
    has_sentence_text,
    unknown_texts,
)

NAME = 'mcdrl-endo-lite0'
KNOWN = ['polyp', 'blur']


@pytest.fixture
def weights(tmp_path):
    generator = torch.Generator().manual_seed(0)
    state = {
        'text.proj.weight': torch.randn(256, EMBED_DIMS, generator=generator).half(),
        'text.sentences': torch.randn(2, EMBED_DIMS, generator=generator).half(),
    }
    path = tmp_path / 'weights.safetensors'
    save_file(state, path, {'sentences': json.dumps(KNOWN)})
    return path, state


@pytest.fixture
def no_encoder(monkeypatch):
    def missing(texts):
        raise SentenceEncoderError('not installed.')

    monkeypatch.setattr(sentence_text, 'encode_sentences', missing)
    monkeypatch.setattr(sentence_text, 'encoder_folder', lambda: None)


def test_known_texts_need_no_encoder(weights, no_encoder):
    path, state = weights
    found = embed_texts(CLIPSpec(NAME, str(path)), ['blur', 'polyp', 'blur'])
    rows = state['text.sentences'].float()[[1, 0, 1]]
    expected = F.normalize(rows @ state['text.proj.weight'].float().T, dim=-1)
    assert_close(found, expected)


def test_an_unknown_text_is_an_error_that_names_it(weights, no_encoder):
    spec = CLIPSpec(NAME, str(weights[0]))
    with pytest.raises(UnknownTextError, match="does not know 'haemorrhage'"):
        embed_texts(spec, ['polyp', 'haemorrhage'])
    assert unknown_texts(spec, ['haemorrhage', 'polyp', 'haemorrhage']) == [
        'haemorrhage'
    ]


def test_an_unknown_text_is_embedded_if_the_encoder_is_installed(weights, monkeypatch):
    path, state = weights
    row = torch.ones(1, EMBED_DIMS)
    monkeypatch.setattr(sentence_text, 'encode_sentences', lambda texts: row)
    found = embed_texts(CLIPSpec(NAME, str(path)), ['polyp', 'haemorrhage'])
    expected = F.normalize(row @ state['text.proj.weight'].float().T, dim=-1)
    assert_close(found[1:], expected)


def test_without_weights_every_text_has_a_fixed_random_vector():
    first, again = (embed_texts(CLIPSpec(NAME), ['a', 'b']) for _ in range(2))
    assert torch.equal(first, again)
    assert_close(first.norm(dim=1), torch.ones(2))
    assert first[0] @ first[1] < 0.5


def test_weights_without_a_text_projection_are_an_error(tmp_path):
    path = tmp_path / 'weights.safetensors'
    save_file({'visual.x': torch.zeros(1)}, path)
    with pytest.raises(CLIPWeightsError, match=r'text\.proj\.weight'):
        embed_texts(CLIPSpec(NAME, str(path)), ['polyp'])


def test_only_models_of_the_sentence_encoder_have_a_sentence_text_side():
    assert has_sentence_text(NAME)
    assert not has_sentence_text('mcdrl-tiny-rn')
