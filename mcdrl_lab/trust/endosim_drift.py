"""How well site-check names the conditions that differ, on EndoSim's known truth."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from mcdrl_common.site_reference import SiteReference, site_reference
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.hospitals import LESION_RATES, SITES, Conditions
from mcdrl_lab.simulation.scene import CONFOUNDER_PROMPTS, CONFOUNDERS
from mcdrl_lab.simulation.simulated_sites import Benchmark, write_benchmark

from .dice_predictors import expectations, features_of, rank_correlations
from .drift import condition_drift
from .expected_dice import site_errors
from .recorded_dice import RecordedImage, confidences, recorded_dice
from .within_sites import Estimate

if TYPE_CHECKING:
    from .builtin_encoder import Encode

MIN_RATE_DIFFERENCE = 0.1
"""A condition differs if its true rate is this far beyond those of all other sites."""


@dataclass(frozen=True)
class NamedConditions:
    """Conditions that differ at one held-out site of one draw: true and named ones.

    Attributes:
        seed: Seed of the draw.
        site: The held-out site.
        truth: Condition -> 1 or -1, if it occurs more or less often than at any other
            site.
        named: The same, as site-check finds it without masks.
    """

    seed: int
    site: str
    truth: dict[str, int]
    named: dict[str, int]

    @property
    def right(self) -> int:
        """Number of named conditions that truly differ, in this direction."""
        return sum(self.truth.get(name) == sign for name, sign in self.named.items())


def true_rates(site: str, spurious: float) -> np.ndarray:
    """How often each condition occurs at a site, over scenes with and without lesion.

    Args:
        site: One of EndoSim's sites.
        spurious: How far sites differ.

    Returns:
        (M,), in the order of the prompt set.
    """
    conditions = Conditions(site, spurious)
    rates = [
        [conditions.rates(lesion)[name] for name in CONFOUNDERS]
        for lesion in LESION_RATES
    ]
    return np.array(list(LESION_RATES.values())) @ np.array(rates)


def truly_different(site: str, spurious: float) -> dict[str, int]:
    """Conditions whose true rate at a site is beyond those of all other sites.

    Args:
        site: The held-out site.
        spurious: How far sites differ.

    Returns:
        Prompt of the condition -> 1 for more, -1 for less.
    """
    own = true_rates(site, spurious)
    others = np.array([true_rates(s, spurious) for s in SITES if s != site])
    # A difference of exactly the margin counts, despite floating-point rounding.
    least = MIN_RATE_DIFFERENCE - 1e-9
    more, less = own - others.max(axis=0) >= least, others.min(axis=0) - own >= least
    signs = more.astype(int) - less.astype(int)
    words = CONFOUNDER_PROMPTS.values()
    return {name: int(sign) for name, sign in zip(words, signs) if sign}


def named_conditions(
    encode: Encode,
    seeds: Sequence[int],
    images_per_site: int = 100,
    spurious: float = 1.0,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[NamedConditions]:
    """Hold out every site of every draw and check it against the other four.

    Args:
        encode: Takes (n, H, W, 3) uint8 images, red first; returns (n, M) scores and
            (n, d) embeddings.
        seeds: Seeds of the draws.
        images_per_site: Images of each site.
        spurious: How far sites differ, from 0 to 1.
        progress: Wraps the seeds.
    """
    results = []
    for seed in progress(seeds):
        benchmark = Benchmark(images_per_site, 128, spurious, seed)
        seen = {site: encode(_images(benchmark, site)) for site in SITES}
        for site in SITES:
            reference = _reference({s: seen[s] for s in SITES if s != site})
            drifts = condition_drift(reference, seen[site][0])
            results.append(
                NamedConditions(
                    seed,
                    site,
                    truly_different(site, spurious),
                    {drift.name: drift.differs for drift in drifts if drift.differs},
                )
            )
    return results


def _images(benchmark: Benchmark, site: str) -> np.ndarray:
    scenes = (benchmark.scene(site, n) for n in range(benchmark.images_per_site))
    return np.stack([draw(scene, size=benchmark.size)[0] for scene in scenes])


def _reference(seen: dict[str, tuple[np.ndarray, np.ndarray]]) -> SiteReference:
    return site_reference(
        np.concatenate([scores for scores, _ in seen.values()]),
        np.concatenate([embeddings for _, embeddings in seen.values()]),
        [site for site, (scores, _) in seen.items() for _ in scores],
        tuple(CONFOUNDER_PROMPTS.values()),
    )


def precision_and_recall(
    results: Sequence[NamedConditions],
) -> tuple[float | None, float | None]:
    """Precision and recall over all sites and draws together.

    Args:
        results: See :func:`named_conditions`.

    Returns:
        Share of the named conditions that truly differ, and share of the differing
        conditions that are named; None if no condition is named, or none differs.
    """
    right = sum(result.right for result in results)
    named = sum(len(result.named) for result in results)
    true = sum(len(result.truth) for result in results)
    return right / named if named else None, right / true if true else None


def _check_draw(
    benchmark: Benchmark, images: Sequence[RecordedImage], records: str | os.PathLike
) -> None:
    """Refuse records of another draw: its images have the same names."""
    for image in images:
        if benchmark.scene(image.site, int(image.path.stem)).lesion is None:
            raise ProtocolError(
                f'{records} are from another draw than --seeds {benchmark.seed}: at '
                f'{image.site}, image {image.path.stem} has a lesion in the records '
                'but not in this draw. Give the records in the order of --seeds.'
            )


@dataclass(frozen=True)
class DrawRanks:
    """How well the Dice of images at the held-out sites of one draw is predicted.

    Attributes:
        seed: Seed of the draw.
        images: Number of images with a lesion.
        ranks: Predictor -> rank correlation of expected with true Dice.
        site_errors: Predictor -> site -> expected minus true mean Dice.
    """

    seed: int
    images: int
    ranks: dict[str, Estimate]
    site_errors: dict[str, dict[str, float]]


def ranks_of_draw(
    encode: Encode,
    benchmark: Benchmark,
    records: str | os.PathLike,
    method: str | None = None,
) -> DrawRanks:
    """How well conditions and the network's confidence predict the recorded Dice.

    Args:
        encode: See :func:`named_conditions`.
        benchmark: The draw; its images are rendered again.
        records: Records of a leave-one-site-out plan on the draw. If they lack the
            network's confidence, the predictors that need it are left out.
        method: Name of the method; None takes the one that was recorded last.

    Raises:
        ProtocolError: The records cannot be used, or are of another draw.
    """
    with TemporaryDirectory() as folder:
        write_benchmark(benchmark, Path(folder))
        images = recorded_dice(records, folder, method)
    _check_draw(benchmark, images, records)
    seen = {site: encode(_images(benchmark, site)) for site in SITES}
    scores, embeddings = (
        np.stack([seen[image.site][part][int(image.path.stem)] for image in images])
        for part in (0, 1)
    )
    sites = [image.site for image in images]
    dice = np.array([image.dice for image in images])
    confident = any(image.confidence is not None for image in images)
    features = features_of(
        scores, embeddings, confidences(images) if confident else None
    )
    expected = expectations(features, dice, sites)
    ranks = rank_correlations(expected, dice, sites, [None] * len(images))
    errors = {
        name: site_errors(values, dice, sites) for name, values in expected.items()
    }
    return DrawRanks(benchmark.seed, len(images), ranks, errors)
