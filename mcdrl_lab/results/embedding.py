"""Maps a checkpoint's features by t-SNE, and measures them with linear probes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mcdrl_common.atomic_write import write_text
from mcdrl_common.config_datasets import site_names
from mcdrl_common.figure_files import write_figure
from mcdrl_common.trained_sites import trained_on_note
from mcdrl_common.written_files import WrittenFiles, check_targets
from mcdrl_mmseg.apis.checkpoint import load_segmentor

from .config_batches import batches, each_once
from .embedding_figure import TITLES, embed, embedding_figure
from .features import collect_features
from .probe import ProbeScore, probe_accuracy, split_groups


def probe_features(
    features: Mapping[str, np.ndarray], seed: int = 0
) -> tuple[dict[tuple[str, str], ProbeScore], dict[str, str]]:
    """Probe F and F_ca for site and lesion.

    Frames of one sequence stay in one fold of the cross-validation; where the sequence
    is unknown, neighbouring images do.

    Args:
        features: From :func:`~mcdrl_lab.results.features.collect_features`.
        seed: Seed of the splits.

    Returns:
        (feature, label) -> score, and label -> why it could not be probed.
    """
    groups = split_groups(features['sites'].tolist(), features['sequences'].tolist())
    scores, reasons = {}, {}
    for label, names in _labels(features).items():
        for feature in TITLES:
            try:
                scores[feature, label] = probe_accuracy(
                    features[feature], names, groups, seed=seed
                )
            except ValueError as error:
                # Only one site or lesion type: nothing to classify, and no error.
                reasons[label] = str(error)
    return scores, reasons


def write_embedding(
    cfg: Config,
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    loaders: Sequence[str] = ('val', 'test'),
    device: str | None = None,
    perplexity: float = 30.0,
    seed: int = 0,
    overwrite: bool = False,
) -> str:
    """Draw the maps of a checkpoint's features, and write the scores of the probes.

    Args:
        cfg: The checkpoint's config.
        checkpoint: The checkpoint.
        out: The figure; its suffix determines the format. The scores go to a JSON file
            with the same name.
        loaders: Data loaders whose images are used, from
            :data:`~mcdrl_lab.results.config_batches.LOADERS`.
        device: As ``'cuda:0'``; None takes a GPU if there is one.
        perplexity: Perplexity of t-SNE.
        seed: Seed of t-SNE and of the probes' splits.
        overwrite: Whether figure and scores of an earlier run may be replaced.

    Returns:
        The scores as text, with a note if some of the images were trained on.

    Raises:
        ValueError: A model without MCDRL's head, no images, or an unknown format.
        DictionaryError: The checkpoint has no dictionary.
        OutputError: Another file has the name of the figure or of the scores.
    """
    out = Path(out)
    written = [out, out.with_suffix('.json')]
    inputs = [Path(checkpoint), *([Path(cfg.filename)] if cfg.filename else [])]
    check_targets(out.parent, written, inputs, overwrite)
    model = load_segmentor(checkpoint, cfg, device)
    # Each image once: with copies in two folds a probe could memorise it.
    features = collect_features(model, each_once(batches(cfg, loaders)))
    scores, reasons = probe_features(features, seed=seed)
    maps = {name: embed(features[name], perplexity, seed) for name in TITLES}
    write_figure(embedding_figure(maps, _labels(features), scores), out)
    WrittenFiles(out.parent).add(out)
    content = dict(
        checkpoint=Path(checkpoint).name,
        images=len(features['sites']),
        loaders=list(loaders),
        seed=seed,
        probes={f'{f}/{label}': asdict(score) for (f, label), score in scores.items()},
        not_probed=reasons,
    )
    write_text(written[1], json.dumps(content, indent=1) + '\n')
    WrittenFiles(out.parent).add(written[1])
    read = [cfg.get(f'{name}_dataloader') or {} for name in loaders]
    shown = [site for loader in read for site in site_names(loader)]
    note = trained_on_note(model.trained_sites, dict.fromkeys(shown), checkpoint)
    summary = _summary(scores, reasons, len(features['sites']))
    return f'{summary}\nnote: {note}' if note else summary


def _labels(features: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    return dict(site=features['sites'].tolist(), lesion=features['lesions'].tolist())


def _summary(
    scores: Mapping[tuple[str, str], ProbeScore], reasons: Mapping[str, str], count: int
) -> str:
    lines = [f'Linear probes on {count} images, balanced accuracy in %:']
    for (feature, label), score in scores.items():
        lines.append(
            f'  {label:<7}from {feature:<5}{100 * score.accuracy:5.1f}   (chance '
            f'{100 * score.chance:.1f}, {len(score.folds)} folds)'
        )
    lines += [f'  {label}: not probed, {reason}' for label, reason in reasons.items()]
    return '\n'.join(lines)
