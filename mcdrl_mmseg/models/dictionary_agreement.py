"""Whether the dictionary in a checkpoint is the one that a config describes.

A dictionary holds embeddings, not words. For the same number of texts its buffers have
the same shapes, so that a checkpoint of other texts would load without an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from mcdrl_common.printable import short_repr

from .confounder_dictionary import NAMES_KEY, ConfounderDictionary


def put_families_in_order(
    dictionary: ConfounderDictionary, meta: Mapping[str, Any]
) -> None:
    """Put the families of prompts into the order of the checkpoint's entries.

    The order of the families decides which entry has which name. In a config that
    MMEngine wrote the families are sorted, whatever their order was in training.

    Args:
        dictionary: The config's dictionary.
        meta: The checkpoint's. Ignored unless its names are the config's, in the same
            families.
    """
    prompts, names = dictionary.prompts, meta.get(NAMES_KEY)
    if not isinstance(names, list | tuple):
        return
    place = {name: n for n, name in enumerate(names) if isinstance(name, str)}
    if place.keys() != set(prompts.confounder_names):
        return
    families = sorted(
        prompts.confounders.items(),
        key=lambda family: min((place[name] for name in family[1]), default=0),
    )
    ordered = replace(prompts, confounders=dict(families))
    if ordered.confounder_names == tuple(names):
        dictionary.prompts = ordered


def other_words(
    dictionary: ConfounderDictionary, meta: Mapping[str, Any]
) -> str | None:
    """Message if a checkpoint was trained with other texts or another order, or None.

    Its classes and entries would get wrong names. Call :func:`put_families_in_order`
    before. The order of the background prompts does not matter.

    Args:
        dictionary: The config's dictionary.
        meta: The checkpoint's; older ones hold only the names of the conditions, or
            nothing.

    Returns:
        What differs and what to do.
    """
    background = dictionary.prompts.background_prompts
    for key, own in reversed(dictionary.notes().items()):
        given = meta.get(key)
        if not isinstance(given, list | tuple):
            continue
        texts = [str(text) for text in given]
        trained, named = sorted({*texts} - {*own}), sorted({*own} - {*texts})
        if trained or named:
            return (
                f'The checkpoint was trained with {short_repr(trained)} instead of '
                f'the texts {short_repr(named)} of the config. Its dictionary keeps '
                'the texts of the training. Use the config that it was trained with; '
                'other texts need a new training.'
            )
        ordered = [
            [text for text in part if text not in background] for part in (texts, own)
        ]
        for theirs, ours in zip(*ordered):
            if theirs != ours:
                return (
                    'The checkpoint was trained with its texts in another order: '
                    f'{theirs!r} where the config has {ours!r}. Classes and '
                    'conditions would get wrong names. Put prompts.classes and '
                    'prompts.confounders into the order of the training, or use the '
                    'config that the checkpoint was trained with.'
                )
    return None


def other_prior(dictionary: ConfounderDictionary) -> str | None:
    """Message if a checkpoint has another P(z) than the config, or None.

    P(z) is a buffer: the checkpoint's values replace the config's. Nothing is compared
    if the config estimates P(z), or if the dictionary is not built; for the latter see
    :meth:`ConfounderDictionary.check_built`.

    Args:
        dictionary: A model's, after its checkpoint was loaded.

    Returns:
        What differs and what to do.
    """
    given, kept = dictionary.given_prior, dictionary.confounder_prior.float().cpu()
    if given is None or not dictionary.is_built:
        return None
    if torch.allclose(given, kept, rtol=0, atol=1e-4):
        return None
    theirs, own = ([round(p, 4) for p in part.tolist()] for part in (kept, given))
    return (
        f'The checkpoint was trained with the prior P(z) {theirs}, but the config has '
        f'{own}, for {list(dictionary.prompts.confounder_names)}. The checkpoint keeps '
        'its own prior. Use the config that it was trained with. Another prior needs '
        'a new training, which may start from these weights (load_from).'
    )
