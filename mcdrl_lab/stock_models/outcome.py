"""What can come of trying a model."""

from __future__ import annotations

from typing import NamedTuple

STATUSES = OK, REFUSED, BROKEN, NOT_BUILT = 'ok', 'refused', 'broken', 'not built'


class TrialOutcome(NamedTuple):
    """What came of a trial.

    Attributes:
        status: ``ok``; ``refused``, the conversion says why; ``broken``; or ``not
            built``, where the stock model cannot be built either.
        reason: In one sentence, unless ok.
        seconds: It took.
    """

    status: str
    reason: str
    seconds: float
