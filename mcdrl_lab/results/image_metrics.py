"""Names of the metrics that tables and comparisons are made of, and their units."""

from __future__ import annotations

from mcdrl_common.metric_names import CALIBRATION_METRICS, COUNT_METRICS

# Fractions that papers print in per cent.
PERCENT_METRICS = (
    'dice',
    'iou',
    'accuracy',
    'precision',
    'recall',
    'nsd',
    'dice_mean256',
    'iou_mean256',
    'false_positive',
    'false_area',
)
LESION_FREE_METRICS = ('false_positive', 'false_area')
IMAGE_METRICS = (*PERCENT_METRICS, 'hd95')
# What a plan tabulates unless told otherwise.
REPORT_METRICS = ('dice', 'iou', 'accuracy', 'hd95', 'false_positive')
# Summary values are named SCOPE/NAME; these names are no fractions.
_NUMBERS = (*COUNT_METRICS, 'sites', 'mHD95', 'hd95')
_LOWER_IS_BETTER = (
    *LESION_FREE_METRICS,
    'false_positive_rate',
    'missed_rate',
    *CALIBRATION_METRICS,
    'hd95',
    'mHD95',
)


def scale_of(metric: str) -> float:
    """Factor to print a metric with: 100 for fractions, 1 for pixels and counts.

    Args:
        metric: A per-image metric or the name of a summary value.
    """
    return 1.0 if metric.rpartition('/')[2] in _NUMBERS else 100.0


def lower_is_better(metric: str) -> bool:
    """Whether less of a metric is more.

    Args:
        metric: A per-image metric or the name of a summary value.
    """
    return metric.rpartition('/')[2] in _LOWER_IS_BETTER
