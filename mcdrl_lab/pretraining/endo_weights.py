"""The weights file of the CLIP of real endoscopy, as the package ships it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mcdrl_common.atomic_write import atomic_write
from mcdrl_mmseg.clip.sentence_encoder import encode_sentences
from mcdrl_mmseg.clip.sentence_text import TEXTS, VECTORS, has_sentence_text
from mcdrl_mmseg.prompts import PromptSet

from .endo_model import EndoCLIP
from .endo_trainer import EndoSettings, data_sets
from .endo_words import (
    CHOOSING_WORDS,
    CONDITION_WORDS,
    LESION_WORDS,
    PROMPTS,
    UNSEEN_WORDS,
    other_texts,
)

PROMPT_FILES = ('endoscopy.py', 'endoscopy_sites.py')
"""Prompt sets of endoscopy in ``configs/_base_/prompts``."""

SHUFFLE_SEEDS = range(5)
"""Seeds of the shuffled-letters control whose texts are shipped."""

_SETTINGS = 'settings'


def shipped_texts(prompt_sets: Sequence[PromptSet]) -> list[str]:
    """All texts whose sentence vectors are shipped in the package.

    Args:
        prompt_sets: The prompt sets of the configs. Shipped are their texts, those of
            the shuffled-letters control, and the method's templates with every word of
            training and tests.
    """
    texts: list[str] = []
    for prompts in [*prompt_sets, PROMPTS]:
        texts += prompts.class_texts + prompts.confounder_texts
        texts += prompts.class_confounder_texts
        texts += prompts.background_prompts
        for seed in SHUFFLE_SEEDS:
            texts += prompts.shuffled(seed).confounder_texts
    for names in LESION_WORDS.values():
        texts += [PROMPTS.class_template.format(**{'class': name}) for name in names]
    for names in CONDITION_WORDS.values():
        texts += [PROMPTS.confounder_template.format(domain=name) for name in names]
    for listed in (CHOOSING_WORDS, UNSEEN_WORDS):
        texts += [text for _, _, text in other_texts(listed)]
        # Also each word of a condition together with each lesion class.
        others = [name for group in listed['condition'].values() for name in group]
        for prompts, name in product(prompt_sets, others):
            texts += [
                prompts.class_confounder_template.format(**{'class': c, 'domain': name})
                for c in prompts.classes
            ]
    return list(dict.fromkeys(texts))


def left_out(path: Path) -> tuple[str, ...]:
    """Data sets of the pack that a training left out, read from its weights file.

    Args:
        path: File that :func:`save_endo_weights` wrote. Any other file counts as
            trained on the whole pack.
    """
    if path.suffix != '.safetensors':
        return ()
    with safe_open(path, 'pt') as file:
        kept = (file.metadata() or {}).get(_SETTINGS, '{}')
    return data_sets(json.loads(kept).get('without', ''))


def save_endo_weights(
    model: EndoCLIP,
    settings: EndoSettings,
    prompt_sets: Sequence[PromptSet],
    path: Path,
    encoder: Callable[[list[str]], Tensor] = encode_sentences,
) -> None:
    """Write image tower and text side in half precision.

    With a projection as text side, the sentence vectors are written too.

    Args:
        model: The trained model.
        settings: How it was trained; kept in the file.
        prompt_sets: See :func:`shipped_texts`.
        path: The file.
        encoder: Texts -> (n, 384) vectors; the sentence encoder.
    """
    state = {
        key: value.detach().cpu().half().contiguous()
        for key, value in model.state_dict().items()
        if not key.endswith('.num_batches_tracked')
    }
    metadata = {_SETTINGS: json.dumps(asdict(settings))}
    if has_sentence_text(settings.model_name):
        texts = shipped_texts(prompt_sets)
        state[VECTORS] = encoder(texts).half().contiguous()
        metadata[TEXTS] = json.dumps(texts)
    with atomic_write(path) as temporary:
        save_file(state, temporary, metadata)
