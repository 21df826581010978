"""Tables of invariance, made from its records."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pandas as pd

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.json_lines import parse_line, read_lines
from mcdrl_lab.simulation.scene import CONFOUNDERS

from .invariance_record import FEATURES, InvarianceRecord
from .statistics import mean_and_stderr
from .text_cells import markdown, mean_and_error

_COLUMNS = {
    'agreement': 'agreement',
    'dice_absent': 'Dice, absent',
    'dice_present': 'Dice, present',
}
_PROBED = {'site': ('site',), 'confounders': CONFOUNDERS, 'lesion': ('lesion',)}


def read_invariance(path: str | os.PathLike) -> list[InvarianceRecord]:
    """Read the last record of each model.

    Args:
        path: A file of JSON lines, which may be compressed by gzip.

    Raises:
        ProtocolError: A line is not such a record.
    """

    def parse(line: bytes) -> InvarianceRecord:
        try:
            return InvarianceRecord.from_dict(parse_line(line))
        except (ValueError, TypeError, AttributeError) as error:
            raise ProtocolError(str(error)) from None

    return list({record.key: record for record in read_lines(path, parse)}.values())


def invariance_table(records: Sequence[InvarianceRecord]) -> str:
    """Means over runs by method, in per cent, as Markdown.

    Args:
        records: One record per model.

    Returns:
        A row for each method (and strength of the shift, if there are several):
        agreement, Dice without and with a confounder (means over confounders), and the
        accuracy of linear probes on F and F_ca.
    """
    rows: dict[str, list[InvarianceRecord]] = {}
    several = len({record.spurious for record in records}) > 1
    for record in records:
        shift = f' (spurious {record.spurious:g})' if several else ''
        rows.setdefault(record.method + shift, []).append(record)
    cells = {
        name: {
            **{
                title: _cell([getattr(r.overall, key) for r in group])
                for key, title in _COLUMNS.items()
            },
            **{
                f'{title}, {feature}': _cell(
                    [r.probe_mean(names, feature) for r in group]
                )
                for title, names in _PROBED.items()
                for feature in FEATURES
            },
            'runs': str(len(group)),
        }
        for name, group in rows.items()
    }
    return markdown(pd.DataFrame(cells).T.rename_axis('method'))


def confounder_table(records: Sequence[InvarianceRecord], method: str) -> str:
    """Means over one method's runs by confounder, in per cent, as Markdown.

    Args:
        records: One record per model.
        method: Name of the method.
    """
    group = [record for record in records if record.method == method]
    cells = {
        name: {
            **{
                title: _cell([getattr(r.pairs[name], key) for r in group])
                for key, title in _COLUMNS.items()
            },
            **{
                f'probe, {feature}': _cell(
                    [r.probe_mean((name,), feature) for r in group]
                )
                for feature in FEATURES
            },
        }
        for name in CONFOUNDERS
    }
    return markdown(pd.DataFrame(cells).T.rename_axis('confounder'))


def _cell(values: list[float]) -> str:
    return mean_and_error(*mean_and_stderr([100 * v for v in values if v == v]))
