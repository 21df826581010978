"""Text embeddings: one batched pass of the text tower, then the tower is let go."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .hf_text import build_hf_tokenizer, tokenizer_options
from .model_config import context_length, get_model_config
from .sentence_text import embed_with_sentences, has_sentence_text
from .towers import CLIPSpec, build_text_tower, load_tower_weights

# A random text tower stands for the missing weights of demonstrations and tests.
# Its seed is fixed, so that its embeddings are the same on every rank and restart.
_RANDOM_TOWER_SEED = 0
_SIMPLE_OPTIONS = ('clean', 'reduction_mask', 'additional_special_tokens')


def tokenize(spec: CLIPSpec, texts: Sequence[str]) -> Tensor:
    """Turn texts into token ids.

    Args:
        spec: The model whose tokenizer and context length are used.
        texts: n texts.

    Returns:
        (n, length) int64, cut or padded to the context length.

    Raises:
        ModelSourceError: See :func:`mcdrl_mmseg.clip.hf_text.build_hf_tokenizer`.
    """
    from open_clip.tokenizer import SimpleTokenizer

    config = get_model_config(spec.model_name)['text_cfg']
    length = context_length(config)
    if config.get('hf_tokenizer_name'):
        # Random weights ask for nothing of the network.
        may_fetch = spec.weights is not None
        tokenizer = build_hf_tokenizer(spec.model_name, config, length, may_fetch)
    else:
        options = tokenizer_options(spec.model_name, config, _SIMPLE_OPTIONS)
        tokenizer = SimpleTokenizer(context_length=length, **options)
    return tokenizer(list(texts), context_length=length)


@torch.no_grad()
def embed_texts(spec: CLIPSpec, texts: Sequence[str]) -> Tensor:
    """Embed texts with a CLIP text tower.

    The tower is built, run once over all texts, and freed on return.

    Args:
        spec: The model; without weights a random tower with a fixed seed.
        texts: n texts.

    Returns:
        (n, d) float32 on the CPU, L2-normalised.

    Raises:
        CLIPWeightsError: See :func:`mcdrl_mmseg.clip.towers.load_tower_weights`; of a
            text side made of sentence vectors also a text that it does not know.
    """
    if has_sentence_text(spec.model_name):
        return embed_with_sentences(spec, texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_TOWER_SEED)
        tower = build_text_tower(spec)
    if spec.weights is not None:
        load_tower_weights(tower, spec, 'text.')
    tower.eval()
    return F.normalize(tower(tokenize(spec, texts)).float(), dim=-1)
