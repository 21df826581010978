"""Names of summary metrics that others than their own module must know."""

from __future__ import annotations

# Checkpoints are chosen by it, and curves and tables show it first.
HEADLINE = 'mDice_fg'
COUNT_METRICS = ('images', 'lesion_images', 'lesion_free_images')
