"""Names of summary metrics that others than their own module must know."""

from __future__ import annotations

# Checkpoints are chosen by it, and curves and tables show it first.
HEADLINE = 'mDice_fg'
# The same over all images: an empty prediction of one without lesion counts 1.
ALL_IMAGES_DICE = 'mDice_fg_all'
COUNT_METRICS = ('images', 'lesion_images', 'lesion_free_images')
# Of the lesions of an image, one by one, and of those of all images together.
LESION_RECALLS = (
    'lesion_recall',
    'lesion_recall_iou50',
    'lesion_recall_small',
    'lesion_recall_medium',
    'lesion_recall_large',
)
FALSE_LESIONS = ('false_lesions', 'false_lesions_iou50')
LESION_WISE_METRICS = (
    *(f'pooled_{name}' for name in LESION_RECALLS),
    *(f'm{name.capitalize()}' for name in FALSE_LESIONS),
)
# Of the lesion probability; with the ending _border near the lesions' outlines.
CALIBRATION_SCORES = ('ECE', 'ACE', 'Brier')
CALIBRATION_METRICS = (
    *CALIBRATION_SCORES,
    *(f'{score}_border' for score in CALIBRATION_SCORES),
)
# Of an image without ground truth: how sure the network is of its mask.
CONFIDENCES = ('self_dice', 'mean_confidence')
