"""Run every test marked ``reliability`` and write the results into the page.

Usage: make reliability, or with two workers make reliability
PYTEST_ARGS='-n 2 --dist loadfile'. A test is marked by
``@pytest.mark.reliability(kind, what)``.
"""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter, defaultdict
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'reliability.md'
BEGIN, END = '<!-- made by: make reliability -->', '<!-- end -->'
KINDS = {
    'fault': 'Faults injected, and survived',
    'determinism': 'Determinism',
    'bad input': 'Bad inputs tried, and named',
    'silent': 'Silent wrong answers, made right or refused',
    'security': 'Attacks tried, and refused',
    'numerics': 'Numerics',
}


@dataclass
class Row:
    """One line of a table: a mark of a test function.

    Attributes:
        kind: A key of :data:`KINDS`.
        what: What was tried.
        test: Path of the file and name of the function.
        outcomes: How its cases ended.
    """

    kind: str
    what: str
    test: str
    outcomes: Counter = field(default_factory=Counter)

    @property
    def result(self) -> str:
        """Passed of run cases, as ``3 of 3``, and the number of skipped ones."""
        ran = self.outcomes['passed'] + self.outcomes['failed']
        skipped = self.outcomes['skipped']
        return f'{self.outcomes["passed"]} of {ran}' + (
            f', {skipped} skipped' if skipped else ''
        )

    def markdown(self) -> str:
        """The line without the result."""
        return f'| {self.what} | `{self.test}` |'


def row_of(item: pytest.Item) -> Row | None:
    """The line that a test belongs to; None if it is not marked."""
    mark = item.get_closest_marker('reliability')
    if mark is None:
        return None
    kind, what = mark.args
    if kind not in KINDS:
        raise pytest.UsageError(f'{item.nodeid}: {kind!r} is none of {list(KINDS)}')
    return Row(kind, what, item.nodeid.partition('[')[0])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator:
    """Record in a report which line it belongs to, as it may come from a worker."""
    report = yield
    row = row_of(item)
    if row is not None:
        report.reliability = [row.kind, row.what, row.test]
    return report


class Recorder:
    """A pytest plugin that records how marked tests end."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    @property
    def rows(self) -> list[Row]:
        """The lines in the order of files, and of the tests within a file."""
        return sorted(
            self._rows.values(), key=lambda row: Path(row.test.partition('::')[0]).parts
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a case when it ends, or when it cannot begin."""
        if report.when == 'call' or report.outcome != 'passed':
            row = Row(*report.reliability)
            row = self._rows.setdefault(row.markdown(), row)
            row.outcomes[report.outcome] += 1


def tables(rows: list[Row]) -> str:
    """The tables of all kinds, each with its heading and counts."""
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row.kind].append(row)
    total = sum((row.outcomes for row in rows), Counter())
    parts = [
        f'{len(rows)} rows, {total["passed"]} cases passed, {total["failed"]} failed, '
        f'{total["skipped"]} skipped. Printed by `make reliability` on {date.today()}: '
        f'{platform.system()}, {os.cpu_count()} CPU cores, Python '
        f'{platform.python_version()}, torch {torch.__version__}.'
    ]
    for kind, heading in KINDS.items():
        chosen = by_kind[kind]
        passed = sum(row.outcomes['passed'] for row in chosen)
        lines = [f'{row.markdown()} {row.result} |' for row in chosen]
        parts.append(
            f'## {heading}\n\n{len(chosen)} rows, {passed} cases passed.\n\n'
            '| what | test | cases passed |\n|---|---|---|\n' + '\n'.join(lines)
        )
    return '\n\n'.join(parts)


def main() -> int:
    """Run the tests, write the page and print the tables."""
    os.chdir(ROOT)
    recorder = Recorder()
    # By name, so that the workers of `-n 2` also use the hook of this module.
    sys.path.insert(0, str(Path(__file__).parent))
    arguments = ['-p', Path(__file__).stem, '-m', 'reliability', '-q', *sys.argv[1:]]
    code = pytest.main(arguments, plugins=[recorder])
    text = tables(recorder.rows)
    before, _, rest = PAGE.read_text(encoding='utf-8').partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f'{before}{BEGIN}\n\n{text}\n\n{END}{after}', encoding='utf-8')
    print(text)
    return int(code)


if __name__ == '__main__':
    sys.exit(main())
