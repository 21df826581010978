"""Sequences and patients that the paths of images tell."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from mcdrl_common.findings import ConversionError, Finding

from .source import FoundSite


@dataclass(frozen=True)
class PathRule:
    """Finds a sequence or patient in an image's path.

    Args:
        what: ``'sequence'`` or ``'patient'``.
        pattern: Regular expression searched for in the path; its first group counts,
            or all of it. Empty: not known.

    Raises:
        ConversionError: Not a regular expression.
    """

    what: str
    pattern: str = ''

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ConversionError(
                f'--{self.what}-pattern {self.pattern!r} is no regular expression: '
                f'{error}.'
            ) from None

    def find(self, path: str) -> str | None:
        """Find it.

        Args:
            path: Path of the image relative to the input.

        Returns:
            The text found, empty without a pattern, None if the pattern is not there.
        """
        if not self.pattern:
            return ''
        match = re.search(self.pattern, path)
        if match is None:
            return None
        return match[1] if match.re.groups else match[0]


NO_SEQUENCE = PathRule('sequence')
NO_PATIENT = PathRule('patient')


def add_groups(site: FoundSite, sequence: PathRule, patient: PathRule) -> FoundSite:
    """Fill in the sequence and patient of every sample, and note where none is found.

    Args:
        site: The site; changed in place.
        sequence: Finds sequences.
        patient: Finds patients.

    Returns:
        The site.
    """
    for rule in (sequence, patient):
        samples = []
        for sample in site.samples:
            text = rule.find(sample.image)
            if text is None:
                detail = f'--{rule.what}-pattern is not found in the path'
                site.notes.append(Finding(f'no {rule.what}', sample.image, detail))
            change: dict[str, Any] = {rule.what: text or ''}
            samples.append(replace(sample, **change))
        site.samples = samples
    return site
