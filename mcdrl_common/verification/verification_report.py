"""The outcome of a verification, for people and for programs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mcdrl_common.findings import Finding

from .kinds import KINDS

_SHOWN = 20


@dataclass
class Report:
    """All findings about a data set.

    Args:
        findings: The findings.
        images: Number of images.
        masks: Number of masks.
        sites: Number of sites.
        files_read: Number of files that were read; the others were in the cache.
        seconds: Time taken.
        is_full: Whether files were read, and not only listed.
        unread: Number of images that must not be opened and are not in the cache.
        allowed: Kinds that are no problem here.
        contents: SHA-256 over names and pixels of all images and masks; it changes even
            if two masks of one size are swapped. None if not all are known.
    """

    findings: list[Finding]
    images: int = 0
    masks: int = 0
    sites: int = 0
    files_read: int = 0
    seconds: float = 0.0
    is_full: bool = True
    unread: int = 0
    allowed: Collection[str] = field(default=())
    contents: str | None = None

    def is_problem(self, kind: str) -> bool:
        """Whether a finding of this kind forbids a training.

        Args:
            kind: One of :data:`~.kinds.KINDS`.
        """
        return KINDS[kind].is_problem and kind not in self.allowed

    @property
    def problems(self) -> list[Finding]:
        """Findings that forbid a training."""
        return [one for one in self.findings if self.is_problem(one.kind)]

    @property
    def warnings(self) -> list[Finding]:
        """The other findings."""
        return [one for one in self.findings if not self.is_problem(one.kind)]

    def by_kind(self) -> list[tuple[str, list[Finding]]]:
        """Findings of each kind that occurs, problems first, sorted by file."""
        order = sorted(KINDS, key=lambda kind: not self.is_problem(kind))
        groups = (
            (kind, sorted(one for one in self.findings if one.kind == kind))
            for kind in order
        )
        return [(kind, group) for kind, group in groups if group]

    @property
    def summary(self) -> str:
        """One line on what was verified, and what was found."""
        if self.is_full:
            unread = f'{self.unread} images not opened, ' if self.unread else ''
            looked = 'read', f'{self.files_read} files read, {unread}the others known'
        else:
            looked = 'listed', 'only names checked, no file read'
        return (
            f'{self.images} images and {self.masks} masks of {self.sites} sites '
            f'{looked[0]} in {self.seconds:.1f} s ({looked[1]}): '
            f'{_count(self.problems, "problem")}, {_count(self.warnings, "warning")}.'
            + (f' Contents {self.contents[:16]}.' if self.contents else '')
        )

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            'images': self.images,
            'masks': self.masks,
            'sites': self.sites,
            'files_read': self.files_read,
            'seconds': round(self.seconds, 3),
            'full': self.is_full,
            'unread': self.unread,
            'contents': self.contents,
            'problems': len(self.problems),
            'warnings': len(self.warnings),
            'findings': [
                {
                    'kind': kind,
                    'severity': 'problem' if self.is_problem(kind) else 'warning',
                    'count': len(group),
                    'remedy': KINDS[kind].remedy,
                    'files': [{'file': f.file, 'detail': f.detail} for f in group],
                }
                for kind, group in self.by_kind()
            ],
        }


def render(report: Report, most: int | None = _SHOWN) -> RenderableType:
    """The report as tables.

    Args:
        report: The report.
        most: Files shown of each kind; None shows all.
    """
    parts: list[RenderableType] = []
    overview = Table('', 'kind', 'count', 'what to do', title='Findings')
    overview.columns[2].justify = 'right'
    for kind, group in report.by_kind():
        severity = 'problem' if report.is_problem(kind) else 'warning'
        colour = 'red' if severity == 'problem' else 'yellow'
        overview.add_row(
            f'[{colour}]{severity}[/]', kind, str(len(group)), KINDS[kind].remedy
        )
        parts.append(_files_of(kind, group, most))
    if report.findings:
        parts.append(overview)
    parts.append(Text(report.summary))
    return Group(*parts)


def _files_of(kind: str, group: list[Finding], most: int | None) -> Table:
    title = f'{kind}: {len(group)}'
    table = Table('file', 'what was found', title=title, title_justify='left')
    table.columns[0].overflow = table.columns[1].overflow = 'fold'
    for finding in group[:most]:
        table.add_row(escape(finding.file), escape(finding.detail))
    if most is not None and len(group) > most:
        table.add_row(f'and {len(group) - most} more', '--all shows them')
    return table


def as_text(report: Report) -> str:
    """The problems as lines of text, for an error message."""
    lines = [report.summary]
    for kind, group in report.by_kind():
        if not report.is_problem(kind):
            continue
        lines.append(f'{kind} ({len(group)}): {KINDS[kind].remedy}')
        lines += [f'  {one.file}: {one.detail}' for one in group[:_SHOWN]]
        if len(group) > _SHOWN:
            lines.append(f'  and {len(group) - _SHOWN} more')
    return '\n'.join(lines)


def show(report: Report, most: int | None) -> None:
    """Print the report.

    Args:
        report: The report.
        most: Files shown of each kind; None shows all.
    """
    console = Console()
    if not console.is_terminal:
        # Without a terminal rich would truncate the table to 80 columns.
        console.width = 160
    console.print(render(report, most))


def _count(findings: Iterable[Finding], what: str) -> str:
    number = len(list(findings))
    return f'{number} {what}' if number == 1 else f'{number} {what}s'
