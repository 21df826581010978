"""Log of a training run, with all its starts joined to one history."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mcdrl_common.metric_names import HEADLINE
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.json_lines import parse_line, read_lines

from .image_metrics import lower_is_better

# Entries that must be numbers. NaN counts as one: MMEngine writes it to the log.
_NUMBERS = {'iter', 'epoch', 'step', 'loss'}
_SCALARS = '*/vis_data/scalars.json'


@dataclass(frozen=True)
class RunLog:
    """The history of a run.

    Attributes:
        training: One row per logged training step: ``progress`` and every logged value,
            including ``loss``.
        validation: One row per validation: ``progress`` and every metric.
        unit: Unit of ``progress``, ``'epoch'`` or ``'iteration'``.
        starts: How often the run was started; more than once if it was resumed.
    """

    training: pd.DataFrame
    validation: pd.DataFrame
    unit: str
    starts: int

    @property
    def losses(self) -> list[str]:
        """Names of the losses, the total first."""
        names = [n for n in self.training if 'loss' in n and n != 'loss']
        return [*(['loss'] if 'loss' in self.training else []), *names]

    def best(self, metric: str = HEADLINE) -> tuple[float, float] | None:
        """Progress and value of the best score; the first one of equal scores.

        For distances, errors and false positives the lowest score is best.

        Args:
            metric: A column of :attr:`validation`.

        Returns:
            The pair, or None if no validation has the metric.
        """
        if metric not in self.validation or self.validation[metric].isna().all():
            return None
        scores = self.validation[metric]
        best = scores.idxmin() if lower_is_better(metric) else scores.idxmax()
        row = self.validation.loc[best]
        return float(row['progress']), float(row[metric])


def validation_table(
    logs: Mapping[str, RunLog], metric: str = HEADLINE
) -> pd.DataFrame:
    """First and best validation of runs, and their means.

    Args:
        logs: Name -> log.
        metric: The validation metric.

    Returns:
        One row per run and one of means (``mean``), with columns ``first``, ``best``
        and ``best at`` (progress). A run without the metric has NaN, and so have the
        means then, since they would not cover all rows.
    """
    rows = {}
    for name, log in logs.items():
        scores = log.validation.get(metric, pd.Series(dtype=float)).dropna()
        at, best = log.best(metric) or (float('nan'), float('nan'))
        first = scores.iloc[0] if len(scores) else float('nan')
        rows[name] = {'first': first, 'best': best, 'best at': at}
    table = pd.DataFrame.from_dict(rows, orient='index')
    table.loc['mean'] = table.mean(skipna=False)
    return table


def read_run_log(work_dir: str | os.PathLike) -> RunLog:
    """Read the log of a work folder of ``tools/train.py``.

    A run that was stopped and resumed has one log per start. Steps of an earlier start
    after the checkpoint that a later start resumed from were repeated; only the later
    ones count. A start from scratch replaces everything before it.

    Args:
        work_dir: The folder.

    Raises:
        ProtocolError: No log, a log without a training step, or a line that is no log
            entry.
    """
    files = sorted(Path(work_dir).glob(_SCALARS))
    if not files:
        raise ProtocolError(
            f'{work_dir} has no {_SCALARS}: choose the work folder of a training whose '
            "config has dict(type='LocalVisBackend') in vis_backends."
        )
    logged = (read_lines(file, _parse_row) for file in files)
    starts = [rows for rows in logged if any(map(_is_step, rows))]
    if not starts:
        raise ProtocolError(f'{work_dir}: the log holds no training step yet.')
    joined: list[dict] = []
    for rows in starts:
        first = next(row['iter'] for row in rows if _is_step(row))
        joined = [row for row in _with_iter(joined) if row['iter'] < first] + rows
    joined = list(_with_iter(joined))
    steps = [row for row in joined if _is_step(row)]
    by_epoch = all('epoch' in row for row in steps)
    # The log does not give the iterations per epoch. Estimate it by the smallest number
    # that fits all logged steps. It is close, as steps near an epoch's end are logged.
    length = max(-(-row['iter'] // row['epoch']) for row in steps) if by_epoch else 1
    training = pd.DataFrame(steps)
    training.insert(0, 'progress', training['iter'] / length)
    return RunLog(
        training=training,
        validation=_validations(joined, by_epoch),
        unit='epoch' if by_epoch else 'iteration',
        starts=len(starts),
    )


def _is_step(row: dict) -> bool:
    """Whether a row is a training step: only these have a loss and an iteration."""
    return 'loss' in row and 'iter' in row


def _parse_row(line: bytes) -> dict:
    row = parse_line(line)
    if not isinstance(row, dict):
        raise ProtocolError('not a JSON object.')
    for key in _NUMBERS & row.keys():
        if not isinstance(row[key], int | float):
            raise ProtocolError(f'{key!r} is {row[key]!r}; expected a number.')
    return row


def _with_iter(rows: Iterable[dict]) -> Iterable[dict]:
    """Give every row the iteration of the last training step before it."""
    last = 0
    for row in rows:
        last = row['iter'] if _is_step(row) else last
        yield {**row, 'iter': last}


def _validations(rows: list[dict], by_epoch: bool) -> pd.DataFrame:
    """One row per validation; values that hooks log for the same step are merged."""
    merged: dict[float, dict] = {}
    for row in rows:
        if _is_step(row):
            continue
        # A validation's step is the epoch if the run counts epochs; see LoggerHook.
        progress = row.get('step', 0) if by_epoch else row['iter']
        values = {k: v for k, v in row.items() if k not in ('step', 'iter')}
        merged.setdefault(progress, {'progress': progress}).update(values)
    frame = pd.DataFrame(list(merged.values()) or {'progress': []})
    return frame.sort_values('progress', ignore_index=True)
