"""The table of docs/own_backbone.md: the result of every stock model's trial."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mcdrl_common.atomic_write import write_text
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.json_lines import parse_line, read_lines

from .trial import STATUSES

BEGIN, END = '<!-- sweep-stock: begin -->', '<!-- sweep-stock: end -->'


def write_table(records: Path, page: Path) -> None:
    """Put the table between the two marks of a page.

    Args:
        records: File of JSON lines that the sweep wrote.
        page: A Markdown file with the marks.

    Raises:
        ProtocolError: No records, or no marks.
    """
    lines = read_lines(records, parse_line)
    if not lines:
        raise ProtocolError(
            f'{records} holds no records: `python -m mcdrl_lab sweep-stock run` '
            'writes them.'
        )
    text = page.read_text(encoding='utf-8')
    found = re.search(f'{re.escape(BEGIN)}.*?{re.escape(END)}', text, re.DOTALL)
    if found is None:
        raise ProtocolError(f'{page} lacks the lines {BEGIN} and {END}.')
    table = f'{BEGIN}\n{make_table(lines)}\n{END}'
    write_text(page, text[: found.start()] + table + text[found.end() :])


def make_table(records: Iterable[Mapping[str, Any]]) -> str:
    """Markdown: counts of configs for each method, then every reason.

    Args:
        records: Records of the sweep, in the order in which they were written; the last
            one of a model counts.
    """
    last = {record['key']: record for record in records}
    counts: dict[str, Counter[str]] = {}
    reasons: dict[tuple[str, str], list[str]] = {}
    for record in last.values():
        for config in record['configs']:
            method = config.split('/')[0]
            counts.setdefault(method, Counter())[record['status']] += 1
            if record['reason']:
                key = (record['status'], record['reason'])
                reasons.setdefault(key, []).append(config)
    total = sum(counts.values(), Counter())
    rows = [(f'`{method}`', counts[method]) for method in sorted(counts)]
    lines = [
        f'{total.total()} configs with {len(last)} different models: '
        + ', '.join(f'{total[status]} {status}' for status in STATUSES)
        + f'. Tried with {_stacks(last.values())}.'
        + _other_sizes(last.values()),
        '',
        '| configs of | ' + ' | '.join(STATUSES) + ' |',
        '|---|' + '---|' * len(STATUSES),
    ]
    for name, row in [*rows, ('all', total)]:
        cells = ' | '.join(str(row[status] or '') for status in STATUSES)
        lines.append(f'| {name} | {cells} |')
    for (status, reason), configs in sorted(reasons.items()):
        methods = ', '.join(sorted({f'`{c.split("/")[0]}`' for c in configs}))
        lines += ['', f'- {status}, {len(configs)} of {methods}: {reason}']
    return '\n'.join(lines)


def _other_sizes(records: Iterable[Mapping[str, Any]]) -> str:
    """List the models that need another image size than most."""
    found = Counter(record['size'] for record in records)
    ((most, _),) = found.most_common(1)
    others: dict[tuple[str, int], int] = Counter(
        (record['configs'][0].split('/')[0], record['size'])
        for record in records
        if record['size'] != most
    )
    sizes = [f'{count} of `{m}` at {s}' for (m, s), count in sorted(others.items())]
    return f' Images of {most} pixels; models {", ".join(sizes)}.' if sizes else ''


def _stacks(records: Iterable[Mapping[str, Any]]) -> str:
    found = Counter((record['mmseg'], record['date']) for record in records)
    return ', '.join(
        f'MMSegmentation {version} on {date} ({count} models)'
        for (version, date), count in sorted(found.items())
    )
