"""Findings and errors about data files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """A finding about one file, for a report.

    Args:
        kind: Kind of finding, as ``'missing mask'``.
        file: The file, relative to the input.
        detail: What was found and what was expected.
    """

    kind: str
    file: str
    detail: str

    def __str__(self) -> str:
        return f'{self.kind}: {self.file}: {self.detail}'


class FileProblem(ValueError):
    """A file that cannot be used as it is.

    Args:
        kind: Kind of problem, as ``'size mismatch'``.
        detail: What was found and what was expected.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f'{kind}: {detail}')
        self.kind = kind
        self.detail = detail

    def of(self, file: str) -> Finding:
        """The finding for the report.

        Args:
            file: The file, relative to the input.
        """
        return Finding(self.kind, file, self.detail)
