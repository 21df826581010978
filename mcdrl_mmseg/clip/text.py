"""Text embeddings: one batched pass of the text tower, then the tower is let go."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .model_config import get_model_config
from .sentence_text import embed_with_sentences, has_sentence_text
from .towers import CLIPSpec, build_text_tower, load_tower_weights

# A random text tower stands for the missing weights of demonstrations and tests.
# Its seed is fixed, so that its embeddings are the same on every rank and restart.
_RANDOM_TOWER_SEED = 0


def tokenize(spec: CLIPSpec, texts: Sequence[str]) -> Tensor:
    """Turn texts into token ids.

    Args:
        spec: The model whose tokenizer and context length are used.
        texts: n texts.

    Returns:
        (n, length) int64, cut or zero-padded to the context length.
    """
    import open_clip

    # Fills open_clip's list with the plug-in's own models before it looks there.
    context_length = get_model_config(spec.model_name)['text_cfg']['context_length']
    tokenizer = open_clip.get_tokenizer(spec.model_name.replace('/', '-'))
    return tokenizer(list(texts), context_length=context_length)


@torch.no_grad()
def embed_texts(spec: CLIPSpec, texts: Sequence[str]) -> Tensor:
    """Embed texts with a CLIP text tower.

    The tower is built, run once over all texts, and freed on return.

    Args:
        spec: The model; ``pretrained=None`` gives a random tower with a fixed seed.
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
    if spec.pretrained is not None:
        load_tower_weights(tower, spec, 'text.')
    tower.eval()
    return F.normalize(tower(tokenize(spec, texts)).float(), dim=-1)
