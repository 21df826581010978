"""Calibration errors of a lesion probability, from histograms.

All scores come from a histogram of the lesion probability in steps of 0.001, with one
row for pixels without a lesion and one for lesion pixels. Probabilities, and so all
scores, are accurate to 0.0005. Histograms of images add up to that of a site.
"""

from __future__ import annotations

import numpy as np

from .metric_names import CALIBRATION_SCORES

LEVELS = 1001
"""Number of levels of the probability: 0.000, 0.001 ... 1.000."""
BINS = 15
"""Number of bins of the expected and of the adaptive calibration error."""


def calibration_scores(histogram: np.ndarray) -> dict[str, float | None]:
    """Calibration errors and Brier score of the lesion probability.

    Args:
        histogram: Integer (2, :data:`LEVELS`); pixels by true class (0 without a
            lesion, 1 with) and level of the probability.

    Returns:
        ``ECE``, the expected calibration error over 15 bins of equal width (Guo et
        al., ICML 2017; a bin holds its upper edge); ``ACE``, the same over 15 bins of
        equally many pixels (Nixon et al., CVPR workshops 2019; pixels of one level
        are shared out evenly where a bin ends within it); ``Brier``, the mean squared
        difference of probability and truth. None without a pixel.
    """
    histogram = np.asarray(histogram, dtype=np.float64)
    total = histogram.sum()
    if not total:
        return dict.fromkeys(CALIBRATION_SCORES)
    count = histogram.sum(axis=0)
    level = np.arange(LEVELS) / (LEVELS - 1)
    bins = _equal_width(histogram)
    squares = histogram[0] * level**2 + histogram[1] * (1 - level) ** 2
    return dict(
        ECE=float(np.abs(bins[1] - bins[2]).sum() / total),
        ACE=_adaptive(count, count * level, histogram[1]),
        Brier=float(squares.sum() / total),
    )


def reliability_diagram(histogram: np.ndarray) -> dict[str, list]:
    """The points of a reliability diagram.

    Args:
        histogram: As for :func:`calibration_scores`.

    Returns:
        A list of 15 each: ``pixels``; ``probability``, the mean probability in the
        bin; ``lesion``, the share of its pixels that are lesion. The last two are None
        in an empty bin.
    """
    count, confidence, lesion = _equal_width(np.asarray(histogram, dtype=np.float64))
    return dict(
        pixels=[int(n) for n in count],
        probability=_means(confidence, count),
        lesion=_means(lesion, count),
    )


def _means(sums: np.ndarray, count: np.ndarray) -> list[float | None]:
    return [round(float(s / n), 6) if n else None for s, n in zip(sums, count)]


def _equal_width(histogram: np.ndarray) -> np.ndarray:
    """Pixels, sum of probabilities and lesion pixels in each bin, (3, BINS)."""
    level = np.arange(LEVELS)
    # In integers, so that rounding cannot move 0.2 out of (0.133, 0.2].
    number = np.maximum(-(-level * BINS // (LEVELS - 1)) - 1, 0)
    count = histogram.sum(axis=0)
    rows = (count, count * level / (LEVELS - 1), histogram[1])
    return np.stack([np.bincount(number, row, minlength=BINS) for row in rows])


def _adaptive(count: np.ndarray, confidence: np.ndarray, lesion: np.ndarray) -> float:
    """Mean over bins of equally many pixels of |probability - share of lesion|."""
    below = np.concatenate([[0.0], np.cumsum(count)])
    edges = below[-1] * np.arange(BINS + 1) / BINS
    gap = np.concatenate([[0.0], np.cumsum(confidence - lesion)])
    return float(np.abs(np.diff(np.interp(edges, below, gap))).sum() / below[-1])
