"""Names, units and directions of the metrics in tables and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcdrl_common.dice_all import dice_all
from mcdrl_common.lesion_counts import false_lesions, recall
from mcdrl_common.metric_names import (
    CALIBRATION_METRICS,
    COUNT_METRICS,
    FALSE_LESIONS,
    LESION_RECALLS,
)

# Fractions that papers print in per cent.
PERCENT_METRICS = (
    'dice',
    'dice_all',
    'iou',
    'accuracy',
    'precision',
    'recall',
    'nsd',
    'dice_mean256',
    'iou_mean256',
    'false_positive',
    'false_area',
    *LESION_RECALLS,
)
LESION_FREE_METRICS = ('false_positive', 'false_area')
IMAGE_METRICS = (*PERCENT_METRICS, 'hd95', *FALSE_LESIONS)
# Metrics that a plan tabulates by default.
REPORT_METRICS = ('dice', 'dice_all', 'iou', 'accuracy', 'hd95', 'false_positive')
# Names of values that are no fractions. Summary values are named SCOPE/NAME.
_MEAN_FALSE_LESIONS = tuple(f'm{name.capitalize()}' for name in FALSE_LESIONS)
_NUMBERS = (
    *(*COUNT_METRICS, 'sites', 'mHD95', 'hd95'),
    *(*FALSE_LESIONS, *_MEAN_FALSE_LESIONS),
)
_LOWER_IS_BETTER = (
    *LESION_FREE_METRICS,
    'false_positive_rate',
    'missed_rate',
    *CALIBRATION_METRICS,
    *(*FALSE_LESIONS, *_MEAN_FALSE_LESIONS),
    'hd95',
    'mHD95',
)


def scale_of(metric: str) -> float:
    """Factor for printing a metric: 100 for fractions, 1 for pixels and counts.

    Args:
        metric: A per-image metric or the name of a summary value.
    """
    return 1.0 if metric.rpartition('/')[2] in _NUMBERS else 100.0


def unit_of(metric: str) -> str:
    """Unit that a per-image metric is printed in.

    Args:
        metric: One of :data:`IMAGE_METRICS`.
    """
    if metric in FALSE_LESIONS:
        return 'lesions'
    return '%' if metric in PERCENT_METRICS else 'pixels'


def lower_is_better(metric: str) -> bool:
    """Whether a lower value of a metric is better.

    Args:
        metric: A per-image metric or the name of a summary value.
    """
    return metric.rpartition('/')[2] in _LOWER_IS_BETTER


def value_of(image: Mapping[str, Any], metric: str) -> float | None:
    """Value of a metric in a per-image record; None if it is undefined or missing.

    Rates of false positives are defined on images without lesion, ``dice_all`` and
    numbers of false lesions on all images, everything else on images with a lesion.

    Args:
        image: The record; older records have no lesion-wise metrics.
        metric: One of :data:`IMAGE_METRICS`.
    """
    if metric == 'dice_all':
        return dice_all(image)
    if metric in FALSE_LESIONS:
        return false_lesions(image['lesions'], metric) if 'lesions' in image else None
    if image['has_lesion'] == (metric in LESION_FREE_METRICS):
        return None
    if metric in LESION_RECALLS:
        return recall([image['lesions']], metric) if 'lesions' in image else None
    return image.get(metric)
