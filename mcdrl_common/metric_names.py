"""Names of summary metrics that others than their own module must know."""

from __future__ import annotations

# Checkpoints are chosen by it, and curves and tables show it first.
HEADLINE = 'mDice_fg'
COUNT_METRICS = ('images', 'lesion_images', 'lesion_free_images')
# Of the lesion probability; with the ending _border near the lesions' outlines.
CALIBRATION_SCORES = ('ECE', 'ACE', 'Brier')
CALIBRATION_METRICS = (
    *CALIBRATION_SCORES,
    *(f'{score}_border' for score in CALIBRATION_SCORES),
)
