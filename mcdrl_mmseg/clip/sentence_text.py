"""A text tower of frozen sentence vectors and a learned projection.

The weights file of such a model holds the projection and the sentence vectors of all
prompts that the plug-in ships; only other texts need the sentence encoder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from .model_config import get_model_config
from .sentence_encoder import (
    EMBED_DIMS,
    SentenceEncoderError,
    encode_sentences,
    encoder_folder,
)
from .weights import CLIPWeightsError, resolve_weights_file

if TYPE_CHECKING:
    from .towers import CLIPSpec

ENCODER_NAME = 'sentence-transformers/all-MiniLM-L6-v2'
"""``text_cfg.hf_model_name`` in open_clip's config of models with this text tower."""

VECTORS, TEXTS, PROJECTION = 'text.sentences', 'sentences', 'text.proj.weight'
"""Keys of a weights file: vectors, their texts (metadata, JSON), and the projection."""

_NAMED = 5  # largest number of texts that an error names


class UnknownTextError(CLIPWeightsError):
    """Texts that are not in the weights file, while no encoder is installed."""


def has_sentence_text(model_name: str) -> bool:
    """Whether a model's text tower is the sentence encoder and a projection.

    Args:
        model_name: open_clip's or the plug-in's name of the architecture.
    """
    text = get_model_config(model_name).get('text_cfg', {})
    return text.get('hf_model_name') == ENCODER_NAME


def read_text_side(path: Path) -> tuple[Tensor, dict[str, Tensor]]:
    """Projection and known texts of a weights file.

    Args:
        path: safetensors.

    Returns:
        (d, 384) float32, and text -> (384,) float32.

    Raises:
        CLIPWeightsError: The file has no such text side.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt') as file:
            texts = json.loads((file.metadata() or {}).get(TEXTS, '[]'))
            projection = file.get_tensor(PROJECTION).float()
            vectors = file.get_tensor(VECTORS).float() if texts else torch.empty(0)
    except (OSError, SafetensorError, ValueError) as error:
        raise CLIPWeightsError(
            f'{path} holds no projection of sentence vectors ({PROJECTION}): {error}'
        ) from None
    return projection, dict(zip(texts, vectors))


def unknown_texts(spec: CLIPSpec, texts: Sequence[str]) -> list[str]:
    """Texts that a model cannot embed on this machine.

    Args:
        spec: A model with such a text tower.
        texts: n texts.

    Returns:
        Texts without a vector in the weights file; none if the sentence encoder is
        installed.
    """
    if spec.pretrained is None or encoder_folder() is not None:
        return []
    _, known = read_text_side(resolve_weights_file(spec.pretrained, spec.model_name))
    return [text for text in dict.fromkeys(texts) if text not in known]


def embed_with_sentences(spec: CLIPSpec, texts: Sequence[str]) -> Tensor:
    """Embed texts with sentence vectors and the model's projection.

    Args:
        spec: The model; ``pretrained=None`` gives each text a fixed random vector.
        texts: n texts.

    Returns:
        (n, d) float32 on the CPU, L2-normalised.

    Raises:
        UnknownTextError: A text is not in the weights file, and the encoder is not
            installed.
        CLIPWeightsError: See :func:`read_text_side`.
    """
    if spec.pretrained is None:
        dims = get_model_config(spec.model_name)['embed_dim']
        rows = [_random_row(text, dims) for text in texts]
        return F.normalize(torch.stack(rows), dim=-1)
    path = resolve_weights_file(spec.pretrained, spec.model_name)
    projection, known = read_text_side(path)
    missing = [text for text in dict.fromkeys(texts) if text not in known]
    if missing:
        try:
            known.update(zip(missing, encode_sentences(missing)))
        except SentenceEncoderError as error:
            named = ', '.join(repr(text) for text in missing[:_NAMED])
            more = len(missing) - _NAMED
            raise UnknownTextError(
                f'{spec.model_name} does not know {named}'
                f'{f" and {more} more" if more > 0 else ""}: its weights hold only the '
                'prompts that are shipped. Other texts need its sentence encoder. '
                f'{error}'
            ) from None
    vectors = torch.stack([known[text] for text in texts])
    assert vectors.shape[1] == EMBED_DIMS
    return F.normalize(vectors @ projection.T, dim=-1)


def _random_row(text: str, dims: int) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], 'big')
    return torch.randn(dims, generator=torch.Generator().manual_seed(seed))
