"""The sites that a checkpoint was trained on, from the config in it.

The held-out site is set outside the config, by ``MCDRL_HELD_OUT``. If it is set for the
training only, the same config file later stands for another fold.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .config_datasets import site_names
from .config_text import CheckpointConfigError, config_entries


class TrainedSites(NamedTuple):
    """Sites of a training.

    Attributes:
        names: The training sites; empty if the checkpoint does not say.
        held_out: The held-out site, if the checkpoint names it.
    """

    names: tuple[str, ...] = ()
    held_out: str | None = None


def trained_sites(checkpoint: Mapping, source: str | os.PathLike) -> TrainedSites:
    """Read the training sites from the config in a checkpoint.

    Args:
        checkpoint: Its content.
        source: Its path, for messages.
    """
    text = (checkpoint.get('meta') or {}).get('cfg')
    if not isinstance(text, str):
        return TrainedSites()
    try:
        entries = config_entries(text, source, ('train_dataloader', 'held_out_site'))
    except CheckpointConfigError:
        # The config is not readable as data: its sites are not known.
        return TrainedSites()
    loader, held_out = entries.get('train_dataloader'), entries.get('held_out_site')
    return TrainedSites(
        tuple(site_names(loader)) if isinstance(loader, dict) else (),
        held_out if isinstance(held_out, str) else None,
    )


def trained_on_note(
    trained: TrainedSites, tested: Iterable[str], source: str | os.PathLike
) -> str | None:
    """Warning about scores at sites that were trained on, which look too good.

    Args:
        trained: The checkpoint's training sites.
        tested: Sites of the scores.
        source: The checkpoint.

    Returns:
        The warning, or None if there is no overlap.
    """
    seen = [name for name in tested if name in trained.names]
    if not seen:
        return None
    right = (
        'Test at the site that the training held out: set '
        f'MCDRL_HELD_OUT={trained.held_out}.'
        if trained.held_out
        else 'It records no held-out site: python -m mcdrl_lab leave-one-site-out '
        'shows what to expect at a new site.'
    )
    return (
        f'{source} was trained on images of {", ".join(seen)}: these scores do not '
        f'apply to a new site. {right}'
    )
