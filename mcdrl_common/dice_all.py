"""Dice of any image, with or without a lesion, for means over all images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def dice_all(record: Mapping[str, Any]) -> float | None:
    """Dice of an image; for an image without lesion, whether the prediction is empty.

    Args:
        record: A per-image record, of any version: it needs ``has_lesion``, and
            ``dice`` or ``false_positive``.

    Returns:
        ``dice`` for an image with a lesion; otherwise 1 for an empty prediction and 0
        for any other. None if no pixel has a label, or Dice is not known.
    """
    if record['has_lesion']:
        return record.get('dice')
    wrong = record.get('false_positive')
    return None if wrong is None else float(not wrong)
