"""Chooses a confidence threshold on held-out sites; masks below it are left empty.

A network that was trained on hardly any lesion-free images marks something in almost
every one of them, but with low confidence. The measure of confidence is ``self_dice``,
the Dice that the network expects of its own mask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import astuple, dataclass

import numpy as np
import pandas as pd

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord

from .method_runs import MethodRuns, method_runs
from .text_cells import markdown, number

THRESHOLDS = tuple(step / 100 for step in range(101))
_ROUNDING = 1e-9
_COLUMNS = ['site', 'seed', 'has_lesion', 'dice', 'false_positive', 'self_dice']


@dataclass(frozen=True)
class PresenceScores(MethodRuns):
    """Scores of a method's images at its held-out sites.

    Attributes:
        images: One row per image and seed: site, seed, has_lesion, dice (NaN without a
            lesion), false_positive (NaN with one) and self_dice, as fractions.
    """

    images: pd.DataFrame


@dataclass(frozen=True)
class SiteResult:
    """Scores at one site, means over its images and the seeds, in per cent.

    Attributes:
        dice: Dice over images with a lesion.
        dice_all: Dice over all images; an empty mask of a lesion-free image counts 100.
        false_positive: Share of lesion-free images with a false positive; NaN without
            any such image.
        missed: Share of images with a lesion whose mask does not overlap it.
    """

    dice: float
    dice_all: float
    false_positive: float
    missed: float


def presence_scores(
    records: Iterable[RunRecord],
    method: str | None = None,
    seeds: Collection[int] | None = None,
) -> PresenceScores:
    """Collect the scores for choosing a threshold.

    Args:
        records: Run records of leave-one-site-out.
        method: Name of the method; None takes the only one.
        seeds: Seeds to use; None takes all.

    Returns:
        Scores of the seeds that finished at every site.

    Raises:
        ProtocolError: An unknown or ambiguous method, no seed that finished at every
            site, or older records without ``self_dice``.
    """
    own = method_runs(records, method, seeds)
    rows = []
    for run in own.runs:
        for image in run.images:
            if not image['has_lesion'] and image.get('false_positive') is None:
                # No pixel has a label, so it is unknown whether there is a lesion.
                continue
            if image.get('self_dice') is None:
                raise ProtocolError(
                    f'{run.method}, {run.held_out}, seed {run.seed}: the record lacks '
                    f'the self_dice of {image["image"]}. It was made by an older '
                    'version, or the image had no probability. Run the plan again in '
                    'a new folder, or choose other --seeds.'
                )
            false = None if image['has_lesion'] else image.get('false_positive')
            dice = image['dice'] if image['has_lesion'] else None
            row = (image['has_lesion'], dice, false, image['self_dice'])
            rows.append((run.held_out, run.seed, *row))
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    numbers = ['dice', 'false_positive', 'self_dice']
    images = frame.astype(dict.fromkeys(numbers, float))
    return PresenceScores(**vars(own), images=images)


def lost_dice(images: pd.DataFrame) -> np.ndarray:
    """Loss of Dice at each of :data:`THRESHOLDS`.

    Args:
        images: Rows of :class:`PresenceScores`, of some of its sites.

    Returns:
        (thresholds,) in points: the mean over sites of the mean over images with a
        lesion. It does not decrease as the threshold increases.
    """
    lesions = images[images.has_lesion]
    empty = lesions.self_dice.to_numpy()[:, None] < np.asarray(THRESHOLDS)
    lost = pd.DataFrame(empty * lesions.dice.to_numpy()[:, None], index=lesions.site)
    return 100 * lost.groupby(level=0).mean().mean().to_numpy()


def presence_threshold(images: pd.DataFrame, loss: float) -> float:
    """The largest threshold with at most this loss of Dice.

    Args:
        images: Rows of :class:`PresenceScores`, of some of its sites.
        loss: Largest loss in points of Dice over images with a lesion, at least 0.

    Returns:
        One of :data:`THRESHOLDS`: masks with a lower ``self_dice`` are left empty.

    Raises:
        ProtocolError: The loss is negative, or there is no image with a lesion.
    """
    if not loss >= 0:
        raise ProtocolError(f'loss {loss} must be a number of points, at least 0.')
    if not images.has_lesion.any():
        raise ProtocolError('no image with a lesion to choose a threshold from.')
    return THRESHOLDS[np.flatnonzero(lost_dice(images) <= loss + _ROUNDING)[-1]]


def site_result(images: pd.DataFrame, threshold: float = 0.0) -> SiteResult:
    """Scores if masks with a ``self_dice`` below the threshold are left empty.

    Args:
        images: Rows of :class:`PresenceScores`, of one site.
        threshold: One of :data:`THRESHOLDS`; 0 keeps all masks.
    """
    kept = (images.self_dice >= threshold).astype(float)
    lesions = images.has_lesion
    dice = (images.dice * kept)[lesions]
    false = (images.false_positive * kept)[~lesions]
    every = pd.concat([dice, 1 - false])
    means = [part.mean() for part in (dice, every, false, dice == 0)]
    return SiteResult(*(100 * float(mean) for mean in means))


def held_out_results(
    scores: PresenceScores, loss: float
) -> dict[str, tuple[float, SiteResult]]:
    """Apply the rule to each site in turn, as if it were the new site.

    Args:
        scores: Scores at two sites or more.
        loss: As for :func:`presence_threshold`.

    Returns:
        Site -> the threshold chosen on the others, and the site's scores with it.
    """
    found = {}
    for site in scores.sites:
        here = scores.images.site == site
        threshold = presence_threshold(scores.images[~here], loss)
        found[site] = threshold, site_result(scores.images[here], threshold)
    return found


def presence_table(scores: PresenceScores, loss: float) -> str:
    """Scores without and with the rule, each site as the new one, as Markdown.

    Args:
        scores: Scores at two sites or more.
        loss: As for :func:`presence_threshold`.
    """
    names = ('Dice', 'all images', 'false positives', 'missed')
    rows = {}
    for site, (threshold, after) in held_out_results(scores, loss).items():
        before = site_result(scores.images[scores.images.site == site])
        pairs = zip(map(number, astuple(before)), map(number, astuple(after)))
        cells = [a if a == b else f'{a} → {b}' for a, b in pairs]
        rows[site] = {'threshold': f'{threshold:.2f}', **dict(zip(names, cells))}
    return markdown(pd.DataFrame(rows).T.rename_axis(scores.method))
