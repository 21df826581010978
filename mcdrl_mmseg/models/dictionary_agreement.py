"""Whether the dictionary in a checkpoint is the one that a config describes.

A dictionary holds no words, and of as many texts its buffers have the same shapes.
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
    """Name the entries as they were when they were filled.

    Which family comes first says which entry is which. A config that MMEngine wrote
    has its families sorted, whatever their order was in training.

    Args:
        dictionary: The config's.
        meta: Of the checkpoint. Names that are not those of the config, in the same
            families, are ignored.
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
    """That a checkpoint was trained with other texts, and what to do, or None.

    Its entries would go by names that are not theirs; so would classes and entries in
    another order. That of the families is put right before, by
    :func:`put_families_in_order`, and that of the background prompts means nothing.

    Args:
        dictionary: The config's.
        meta: Of the checkpoint; older ones say the names of the conditions alone, or
            nothing.
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
                'The checkpoint was trained with other texts than the config has: '
                f'{short_repr(trained)} in the place of {short_repr(named)}. Its '
                'dictionary holds those of its training, whatever the config says. '
                'Name the config it was trained with; other words need a new '
                'training.'
            )
        ordered = [
            [text for text in part if text not in background] for part in (texts, own)
        ]
        for theirs, ours in zip(*ordered):
            if theirs != ours:
                return (
                    'The checkpoint was trained with its texts in another order than '
                    f'the config has: {theirs!r} where that has {ours!r}. '
                    'What it learnt of one would go by the name of another. Put '
                    'prompts.classes and prompts.confounders into the order of its '
                    'training, or name the config it was trained with.'
                )
    return None


def other_prior(dictionary: ConfounderDictionary) -> str | None:
    """That a checkpoint brought another P(z) than the config gives, or None.

    It is a buffer, so that the config would have no effect. Of one that is to be
    estimated the config says no values. A dictionary that is not built has none:
    :meth:`ConfounderDictionary.check_built` says so.

    Args:
        dictionary: Of a model, the checkpoint loaded.
    """
    given, kept = dictionary.given_prior, dictionary.confounder_prior.float().cpu()
    if given is None or not dictionary.is_built:
        return None
    if torch.allclose(given, kept, rtol=0, atol=1e-4):
        return None
    theirs, own = ([round(p, 4) for p in part.tolist()] for part in (kept, given))
    return (
        'The checkpoint was trained with another prior P(z) than the config has: '
        f'{theirs} and not {own}, of {list(dictionary.prompts.confounder_names)}. It '
        'keeps its own, whatever the config says. Name the config it was trained '
        'with; another prior needs a new training, with load_from from these '
        'weights if you like.'
    )
