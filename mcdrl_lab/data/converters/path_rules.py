"""Sequences and patients found in the paths of images."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mcdrl_common.findings import Finding
from mcdrl_common.image_index import (
    INDEX_FILE,
    ImageIndex,
    ImageIndexError,
    IndexRow,
)
from mcdrl_common.verification.kinds import KINDS
from mcdrl_lab.errors import ConversionError

from .input_files import FileTree
from .source import FoundSite


@dataclass(frozen=True)
class PathRule:
    """Finds a sequence or patient in an image's path.

    Args:
        what: ``'sequence'`` or ``'patient'``.
        pattern: Regular expression searched for in the path. Its first group is used,
            or the whole match if it has no group. Empty: not known.

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
                f'--{self.what}-pattern {self.pattern!r} is not a regular '
                f'expression: {error}.'
            ) from None

    def find(self, path: str) -> str | None:
        """Find the sequence or patient.

        Args:
            path: Path of the image relative to the input.

        Returns:
            The text found, empty without a pattern, None if the pattern does not match.
        """
        if not self.pattern:
            return ''
        match = re.search(self.pattern, path)
        if match is None:
            return None
        return match[1] if match.re.groups else match[0]


NO_SEQUENCE = PathRule('sequence')
NO_PATIENT = PathRule('patient')


def add_groups(
    site: FoundSite, tree: FileTree, sequence: PathRule, patient: PathRule
) -> FoundSite:
    """Fill in the sequence and patient of every sample; note where none is found.

    Without a pattern they come from an ``index.csv`` of the input, if there is one,
    with the columns ``site``, ``image``, ``sequence`` and ``patient``.

    Args:
        site: The site; changed in place.
        tree: All files.
        sequence: Finds sequences.
        patient: Finds patients.

    Returns:
        The site.

    Raises:
        ConversionError: A pattern matches no path, or the index cannot be used.
    """
    rows = {} if sequence.pattern and patient.pattern else _index_rows(site, tree)
    for rule in (sequence, patient):
        samples, without = [], 0
        for sample in site.samples:
            text = rule.find(sample.image)
            if text is None:
                without += 1
                detail = f'--{rule.what}-pattern does not match the path'
                site.notes.append(Finding(f'no {rule.what}', sample.image, detail))
            elif not rule.pattern and sample.image in rows:
                text = getattr(rows[sample.image], rule.what)
            change: dict[str, Any] = {rule.what: text or ''}
            samples.append(replace(sample, **change))
        if samples and without == len(samples):
            raise ConversionError(
                f'--{rule.what}-pattern {rule.pattern!r} matches none of '
                f'{without} image paths, such as {samples[0].image!r}: correct it.'
            )
        site.samples = samples
    return site


def _index_rows(site: FoundSite, tree: FileTree) -> dict[str, IndexRow]:
    """Image -> its row in the input's index; adds mismatches as problems or notes."""
    files = [name for name in tree if PurePosixPath(name).name.lower() == INDEX_FILE]
    if not files or not site.samples:
        return {}
    if len(files) > 1:
        raise ConversionError(f'the input has several indices, {files}: keep one.')
    try:
        index = ImageIndex.read(tree.path(files[0]))
    except ImageIndexError as error:
        raise ConversionError(str(error)) from None
    images = {PurePosixPath(sample.image).name: sample.image for sample in site.samples}
    if len(images) < len(site.samples):
        raise ConversionError(
            f'{files[0]} lists images by name, but several images share a name: '
            'rename them, or remove the index and use --patient-pattern.'
        )
    indexed = index.images_of([site.site], [Path(name) for name in images])
    for finding in indexed.findings:
        is_problem = KINDS[finding.kind].is_problem
        (site.problems if is_problem else site.notes).append(finding)
    return {images[name]: row for name, row in indexed.rows.items()}
