"""Scores of a tiny CLIP beside those of misassigned words, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

import torch
from prettytable import PrettyTable

from mcdrl_mmseg.clip.dense import DENSE_MODES
from mcdrl_mmseg.clip.towers import CLIPSpec

from .captions import PROMPTS
from .scene_pool import ScenePool
from .zero_shot import (
    ZeroShotScores,
    encode_scenes,
    kept_shares,
    misassigned,
    score_zero_shot,
    text_vectors,
)

_SHUFFLES = 60


@dataclass(frozen=True)
class Scores:
    """Scores of the prompts, and of the same prompts shuffled.

    Args:
        scenes: Number of scenes.
        by_mode: Dense mode -> scores.
        shuffled: Scores of shuffled prompts, one entry per shuffle.
    """

    scenes: int
    by_mode: dict[str, ZeroShotScores]
    shuffled: tuple[ZeroShotScores, ...]


def score_clip(spec: CLIPSpec, pool: ScenePool) -> Scores:
    """Score a model with every dense mode, and with shuffled prompts.

    Args:
        spec: The model.
        pool: Scenes that it was not trained on.
    """
    vectors = text_vectors(spec, PROMPTS)
    classes = torch.stack([vectors[text] for text in PROMPTS.class_texts])
    by_mode = {}
    for mode in DENSE_MODES:
        encoded = encode_scenes(spec, pool, mode)
        kept = kept_shares(encoded, classes, pool.masks)
        by_mode[mode] = score_zero_shot(vectors, pool, encoded, kept)
    shuffled = tuple(
        score_zero_shot(vectors, pool, encoded, kept, misassigned(PROMPTS, seed))
        for seed in range(_SHUFFLES)
    )
    return Scores(len(pool.images), by_mode, shuffled)


def scores_table(scores: Scores) -> str:
    """The scores as text.

    Args:
        scores: Result of :func:`score_clip`.
    """
    first = next(iter(scores.by_mode.values()))
    table = PrettyTable(['score', 'prompts', 'shuffled prompts', 'their range'])
    table.title = f'Zero-shot scores on {scores.scenes} unseen scenes'
    table.align = 'r'
    table.align['score'] = 'l'

    def add(name: str, value: float, others: list[float]) -> None:
        spread = f'{min(others):.3f} to {max(others):.3f}'
        table.add_row([name, f'{value:.3f}', f'{fmean(others):.3f}', spread])

    accuracies = [other.lesion_accuracy for other in scores.shuffled]
    add('lesion class, accuracy (5 classes)', first.lesion_accuracy, accuracies)
    means = [fmean(s.confounder_auc.values()) for s in scores.shuffled]
    add('confounders, mean AUC', fmean(first.confounder_auc.values()), means)
    for name, value in first.confounder_auc.items():
        add(f'{name}, AUC', value, [s.confounder_auc[name] for s in scores.shuffled])
    for mode, entry in scores.by_mode.items():
        kept = f'{entry.lesions_kept:.3f}'
        table.add_row([f'lesions kept, dense_mode={mode}', kept, '', ''])
    return table.get_string()
