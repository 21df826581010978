"""Checks trust measures at held-out sites, whose masks give the truth.

The measures are conformal thresholds, calibration, expected Dice and confidence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcdrl_common.site_reference import site_reference
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord
from mcdrl_lab.plans.run_folder import RunFolder
from mcdrl_lab.results.conformal import SiteCurves, held_out_risks, risk_at
from mcdrl_lab.results.plan_records import load_records
from mcdrl_lab.results.scores import done
from mcdrl_lab.results.temperature_fit import Calibration, calibrate

from .dice_predictors import (
    expectations,
    failure_aucs,
    features_of,
    rank_correlations,
)
from .recorded_dice import RecordedImage, confidences
from .within_sites import Estimate

MEAN_CONFIDENCE, SELF_DICE = 'mean confidence', 'self Dice'
DISTANCE = 'distance of the embedding'
PLAIN_THRESHOLD = 0.5


@dataclass(frozen=True)
class Coverage:
    """Losses of conformal thresholds at sites that they were not chosen on.

    Attributes:
        level: The nominal level.
        thresholds: For each site the threshold, chosen on the other sites.
        losses: For each site the loss of this threshold there.
        plain: For each site the loss of the mask p >= 0.5 there.
    """

    level: float
    thresholds: tuple[float, ...]
    losses: tuple[float, ...]
    plain: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean loss over the sites; the level bounds its expectation."""
        return float(np.mean(self.losses))

    @property
    def within(self) -> int:
        """Number of sites whose own loss is within the level; not guaranteed."""
        return sum(loss <= self.level for loss in self.losses)


def coverage(found: SiteCurves, level: float) -> Coverage:
    """Hold every site out in turn and choose the threshold on the others.

    Args:
        found: From :func:`~mcdrl_lab.results.conformal.site_curves`.
        level: Largest expected share that may be missed.

    Raises:
        ProtocolError: Too few sites to guarantee the level with one held out.
    """
    pairs = held_out_risks(found, level)
    if pairs is None:
        count = len(found.sites)
        raise ProtocolError(
            f'level {level} cannot be tested with {count} sites: with one held out, '
            f'the smallest level that the others can guarantee is 1/{count}. Use '
            'higher --levels.'
        )
    thresholds, losses = zip(*pairs, strict=True)
    plain = risk_at(found, PLAIN_THRESHOLD).tolist()
    return Coverage(level, thresholds, losses, tuple(plain))


@dataclass(frozen=True)
class Flags:
    """How well images with a low Dice are found without masks.

    Attributes:
        images: Site -> number of images with a lesion.
        failures: Site -> number of these images whose Dice is too low.
        ranks: Predictor -> rank correlation of expected and true Dice.
        areas: Flag -> area under the ROC curve, all sites together.
        gains: Flag -> its area minus that of the mean confidence.
        empty: Number of failures with an empty predicted mask.
        marked: Flag -> area among the images with a nonempty predicted mask.
        by_site: Site -> flag -> area among the images of the site.
    """

    images: dict[str, int]
    failures: dict[str, int]
    ranks: dict[str, Estimate]
    areas: dict[str, Estimate]
    gains: dict[str, Estimate]
    empty: int
    marked: dict[str, Estimate]
    by_site: dict[str, dict[str, Estimate]]


def flags(
    images: Sequence[RecordedImage],
    scores: np.ndarray,
    embeddings: np.ndarray,
    failure: float = 0.3,
) -> Flags:
    """Evaluate flags of images at held-out sites against their true Dice.

    Args:
        images: n images with a lesion.
        scores: (n, M) condition scores.
        embeddings: (n, d).
        failure: Dice below which an image is a failure.

    Raises:
        ProtocolError: Records without the network's own confidence, or too few.
    """
    own = confidences(images)
    dice = np.array([image.dice for image in images])
    sites = [image.site for image in images]
    sequences = [image.sequence for image in images]
    expected = expectations(features_of(scores, embeddings, own), dice, sites)
    signals = {
        MEAN_CONFIDENCE: own[:, 1],
        SELF_DICE: own[:, 0],
        **{f'expected Dice, {name}': values for name, values in expected.items()},
        DISTANCE: -distances(scores, embeddings, sites),
    }
    failed = dice < failure

    def aucs(rows: np.ndarray) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
        return failure_aucs(
            {name: values[rows] for name, values in signals.items()},
            MEAN_CONFIDENCE,
            failed[rows],
            [sites[row] for row in rows],
            [sequences[row] for row in rows],
        )

    areas, gains = aucs(np.arange(len(dice)))
    # An empty mask has a self-Dice of 0 and, as the image has a lesion, a Dice of 0.
    marked = np.flatnonzero(own[:, 0] > 0)
    names = np.asarray(sites)
    by_site = {site: np.flatnonzero(names == site) for site in dict.fromkeys(sites)}
    return Flags(
        images={site: len(rows) for site, rows in by_site.items()},
        failures={site: int(failed[rows].sum()) for site, rows in by_site.items()},
        ranks=rank_correlations(expected, dice, sites, sequences),
        areas=areas,
        gains=gains,
        empty=int(failed.sum() - failed[marked].sum()),
        marked=aucs(marked)[0],
        by_site={site: aucs(rows)[0] for site, rows in by_site.items()},
    )


def distances(
    scores: np.ndarray, embeddings: np.ndarray, sites: Sequence[str]
) -> np.ndarray:
    """Distance of each image from the images of the other sites, (n,).

    Args:
        scores: (n, M) condition scores.
        embeddings: (n, d).
        sites: n names.
    """
    names = np.asarray(sites)
    found = np.empty(len(names))
    for site in dict.fromkeys(sites):
        own = names == site
        reference = site_reference(
            scores[~own],
            embeddings[~own],
            names[~own].tolist(),
            [str(m) for m in range(scores.shape[1])],
        )
        found[own] = reference.distance(embeddings[own])
    return found


def calibrations(
    plan: str | os.PathLike, method: str
) -> Iterator[tuple[RunRecord, Calibration]]:
    """Calibrate each run of a method on its training sites, and test the calibration.

    Args:
        plan: Folder of a plan, with the runs' folders.
        method: Name of the method.

    Yields:
        Each finished run, and its calibration, measured at the held-out site.

    Raises:
        ProtocolError: A run's folder, config or checkpoint is missing.
    """
    from mcdrl_mmseg.apis import load_config, load_segmentor

    if Path(plan).is_file():
        raise ProtocolError(
            f'{plan}: calibration needs the checkpoints of the runs. Choose the folder '
            'in which the plan was run.'
        )
    for run in done(load_records(plan)):
        if (run.method, run.selection) != (method, 'validation'):
            continue
        folder = RunFolder(Path(plan, run.folder))
        name = folder.state.get('checkpoint')
        if not name or not (folder.path / name).is_file():
            raise ProtocolError(
                f'{folder.path} has no checkpoint of the run, which calibration needs: '
                'choose the folder in which the plan was run.'
            )
        cfg = load_config(str(folder.config_path))
        model = load_segmentor(folder.path / name, cfg)
        yield run, calibrate(model, cfg, ('test',))
