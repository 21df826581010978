"""Dice of any image, with a lesion or without: what a mean over all images takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def dice_all(record: Mapping[str, Any]) -> float | None:
    """Dice of an image, where an empty prediction is right if there is no lesion.

    Args:
        record: A per-image record, of any version: it needs ``has_lesion``, and
            ``dice`` or ``false_positive``.

    Returns:
        With a lesion its ``dice``; without one 1 for an empty prediction and 0 for any
        other. None where that is undefined: no pixel has a label, or Dice is not known.
    """
    if record['has_lesion']:
        return record.get('dice')
    wrong = record.get('false_positive')
    return None if wrong is None else float(not wrong)
