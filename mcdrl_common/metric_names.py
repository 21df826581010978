"""Names of summary metrics that several modules use."""

from __future__ import annotations

# Selects checkpoints; curves and tables show it first.
HEADLINE = 'mDice_fg'
# The same over all images: an empty prediction for an image without lesion counts 1.
ALL_IMAGES_DICE = 'mDice_fg_all'
COUNT_METRICS = ('images', 'lesion_images', 'lesion_free_images')
# Recalls of lesions, as mean over images and pooled over all images.
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
# Calibration of the lesion probability; with the suffix _border near lesion outlines.
CALIBRATION_SCORES = ('ECE', 'ACE', 'Brier')
CALIBRATION_METRICS = (
    *CALIBRATION_SCORES,
    *(f'{score}_border' for score in CALIBRATION_SCORES),
)
# The network's confidence in its mask; needs no ground truth.
CONFIDENCES = ('self_dice', 'mean_confidence')
