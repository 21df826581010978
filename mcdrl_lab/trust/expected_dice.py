"""Dice at a new site, expected from what is known of its images without masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mcdrl_lab.errors import ProtocolError

MIN_SITES = 3
MIN_IMAGES = 20
_PENALTIES = np.logspace(-1, 4, 11)


@dataclass(frozen=True)
class SiteDice:
    """Expected Dice of a site.

    Attributes:
        mean: Over its images, in [0, 1].
        low: Lower end of the 95 % interval of the site's mean.
        high: Upper end.
        images: (n,) of each image, in [0, 1].
    """

    mean: float
    low: float
    high: float
    images: np.ndarray


@dataclass(frozen=True)
class DiceModel:
    """A ridge regression of Dice on features of images, and how well it does.

    Attributes:
        ridge: The fitted regression.
        site_errors: Held-out site -> expected minus true mean Dice, where the site was
            left out of the fit.
        rank_correlation: Spearman's, of expected with true Dice of the images, every
            site predicted from the others; NaN where either is constant.
        images: Number of images that it is fitted to.
    """

    ridge: Any
    site_errors: dict[str, float]
    rank_correlation: float
    images: int

    def predict(self, features: np.ndarray) -> SiteDice:
        """Dice that images of a new site can be expected to have, if with a lesion.

        The interval is the root mean square of :attr:`site_errors` times Student's t,
        with as many degrees of freedom as there are sites: it holds if the new site is
        one more like these.

        Args:
            features: (n, k) of the site's images.
        """
        images = np.clip(self.ridge.predict(features), 0, 1)
        errors = np.array(list(self.site_errors.values()))
        reach = float(stdtrit(len(errors), 0.975) * np.sqrt((errors**2).mean()))
        mean = float(images.mean())
        return SiteDice(mean, max(0.0, mean - reach), min(1.0, mean + reach), images)


def fit_dice(
    features: np.ndarray, dice: Sequence[float], sites: Sequence[str]
) -> DiceModel:
    """Fit Dice of images at held-out sites to their features.

    Args:
        features: (n, k) of each image, as the scores of its conditions.
        dice: n values; of each image as its site was held out.
        sites: n names of the held-out sites.

    Raises:
        ProtocolError: Fewer than three sites, or fewer than 20 images.
        ValueError: Values that are not finite.
    """
    expected = expected_when_held_out(features, dice, sites)
    true = np.asarray(dice, np.float64)
    errors = site_errors(expected, true, sites)
    rank = rank_correlation(expected, true)
    return DiceModel(_ridge().fit(features, true), errors, rank, len(true))


def rank_correlation(expected: np.ndarray, dice: np.ndarray) -> float:
    """Spearman's; NaN where either is constant."""
    if not len(dice) or not np.ptp(expected) or not np.ptp(dice):
        return float('nan')
    return float(spearmanr(expected, dice).statistic)


def site_errors(
    expected: np.ndarray, dice: np.ndarray, sites: Sequence[str]
) -> dict[str, float]:
    """By how much the mean Dice of each site is missed.

    Args:
        expected: (n,).
        dice: (n,), the true one.
        sites: n names.

    Returns:
        Site -> expected less true mean.
    """
    names = np.asarray(sites)
    return {
        name: float((expected - dice)[names == name].mean())
        for name in dict.fromkeys(sites)
    }


def expected_when_held_out(
    features: np.ndarray, dice: Sequence[float] | np.ndarray, sites: Sequence[str]
) -> np.ndarray:
    """Dice of each image as a fit to the images of all other sites expects it.

    Args:
        features: (n, k) of each image.
        dice: n values; of each image as its site was held out.
        sites: n names of the held-out sites.

    Returns:
        (n,) in [0, 1].

    Raises:
        ProtocolError: Fewer than three sites, or fewer than 20 images.
        ValueError: Values that are not finite.
    """
    features, true = np.asarray(features, np.float64), np.asarray(dice, np.float64)
    found = list(dict.fromkeys(sites))
    if len(found) < MIN_SITES or len(true) < MIN_IMAGES:
        raise ProtocolError(
            f'the records hold {len(true)} images with a lesion at {len(found)} '
            f'held-out sites ({", ".join(found)}); Dice is expected from at least '
            f'{MIN_IMAGES} images of {MIN_SITES} sites. Run more folds: python -m '
            'mcdrl_lab leave-one-site-out'
        )
    if not (np.isfinite(features).all() and np.isfinite(true).all()):
        raise ValueError('features or Dice hold NaN or infinite values.')
    expected = cross_val_predict(
        _ridge(), features, true, groups=sites, cv=LeaveOneGroupOut()
    )
    return np.clip(expected, 0, 1)


def _ridge() -> Any:
    return make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
