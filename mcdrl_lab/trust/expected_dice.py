"""Expected Dice at a new site, predicted from features of its images without masks."""

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
        mean: Mean over the site's images, in [0, 1].
        low: Lower end of the 95 % interval of the site's mean.
        high: Upper end of the interval.
        images: (n,) expected Dice of each image, in [0, 1].
    """

    mean: float
    low: float
    high: float
    images: np.ndarray


@dataclass(frozen=True)
class DiceModel:
    """A ridge regression of Dice on image features, and its cross-validation by site.

    Attributes:
        ridge: The regression, fitted to all sites.
        site_errors: Held-out site -> expected minus true mean Dice, with the site left
            out of the fit.
        rank_correlation: Spearman's correlation of expected with true Dice of the
            images, each site left out of the fit in turn; NaN if either is constant.
        images: Number of images in the fit.
    """

    ridge: Any
    site_errors: dict[str, float]
    rank_correlation: float
    images: int

    def predict(self, features: np.ndarray) -> SiteDice:
        """Expected Dice of a new site's images, if they show a lesion.

        The half-width of the interval is the root mean square of :attr:`site_errors`
        times Student's t quantile, with as many degrees of freedom as there are sites.
        It is valid if the new site comes from the same distribution as these.

        Args:
            features: (n, k) features of the site's images.
        """
        images = np.clip(self.ridge.predict(features), 0, 1)
        errors = np.array(list(self.site_errors.values()))
        reach = float(stdtrit(len(errors), 0.975) * np.sqrt((errors**2).mean()))
        mean = float(images.mean())
        return SiteDice(mean, max(0.0, mean - reach), min(1.0, mean + reach), images)


def fit_dice(
    features: np.ndarray, dice: Sequence[float], sites: Sequence[str]
) -> DiceModel:
    """Fit a regression of the Dice at held-out sites on image features.

    Args:
        features: (n, k) features of each image, as its condition scores.
        dice: n values; each image's Dice in a run that held its site out.
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
    """Spearman's rank correlation; NaN if either is constant."""
    if not len(dice) or not np.ptp(expected) or not np.ptp(dice):
        return float('nan')
    return float(spearmanr(expected, dice).statistic)


def site_errors(
    expected: np.ndarray, dice: np.ndarray, sites: Sequence[str]
) -> dict[str, float]:
    """Error of the expected mean Dice of each site.

    Args:
        expected: (n,) expected Dice.
        dice: (n,) true Dice.
        sites: n names.

    Returns:
        Site -> expected minus true mean.
    """
    names = np.asarray(sites)
    return {
        name: float((expected - dice)[names == name].mean())
        for name in dict.fromkeys(sites)
    }


def expected_when_held_out(
    features: np.ndarray, dice: Sequence[float] | np.ndarray, sites: Sequence[str]
) -> np.ndarray:
    """Expected Dice of each image, from a fit to the images of all other sites.

    Args:
        features: (n, k) features of each image.
        dice: n values; each image's Dice in a run that held its site out.
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
            f'the records have {len(true)} images with a lesion at {len(found)} '
            f'held-out sites ({", ".join(found)}), but estimating the Dice needs at '
            f'least {MIN_IMAGES} images of {MIN_SITES} sites. Run more folds: python '
            '-m mcdrl_lab leave-one-site-out'
        )
    if not (np.isfinite(features).all() and np.isfinite(true).all()):
        raise ValueError('features or Dice hold NaN or infinite values.')
    expected = cross_val_predict(
        _ridge(), features, true, groups=sites, cv=LeaveOneGroupOut()
    )
    return np.clip(expected, 0, 1)


def _ridge() -> Any:
    return make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
