"""What a training run logged, all its starts joined to one history."""

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

# What steps and validations are joined by; a NaN is one, written by MMEngine so.
_NUMBERS = {'iter', 'epoch', 'step', 'loss'}
_SCALARS = '*/vis_data/scalars.json'


@dataclass(frozen=True)
class RunLog:
    """A run's history.

    Attributes:
        training: One row a logged training step: ``progress`` and every value that
            was logged, ``loss`` among them.
        validation: One row a validation: ``progress`` and every metric.
        unit: What ``progress`` counts, ``'epoch'`` or ``'iteration'``.
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
        """Progress and value of the best score; the first one among equals.

        The lowest is best of distances, errors and false positives.

        Args:
            metric: A column of :attr:`validation`.

        Returns:
            None where no validation defined it.
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
        A row a run and one of means (``mean``), columns ``first``, ``best`` and
        ``best at`` (progress); NaN where no validation defined the metric, and in the
        means then: they would be of other runs than the rows.
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

    A run that was stopped and resumed has a log for each start. What an earlier
    start did beyond the checkpoint that a later one resumed from was done again, and
    only the later one counts; a start from scratch replaces all before it.

    Args:
        work_dir: The folder.

    Raises:
        ProtocolError: No log in it, no training in the log, or a line that is none.
    """
    files = sorted(Path(work_dir).glob(_SCALARS))
    if not files:
        raise ProtocolError(
            f'{work_dir}: no {_SCALARS}. Name the work folder of a training, and keep '
            "dict(type='LocalVisBackend') among the config's vis_backends."
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
    # The log does not tell how many iterations an epoch has: the fewest for these steps
    # to be where they are. They are logged near its end, so that it is close.
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
    """Only training steps say which iteration they are."""
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
    """One row a validation; hooks may log values of their own for the same step."""
    merged: dict[float, dict] = {}
    for row in rows:
        if _is_step(row):
            continue
        # Validations count epochs where the run does; see LoggerHook.
        progress = row.get('step', 0) if by_epoch else row['iter']
        values = {k: v for k, v in row.items() if k not in ('step', 'iter')}
        merged.setdefault(progress, {'progress': progress}).update(values)
    frame = pd.DataFrame(list(merged.values()) or {'progress': []})
    return frame.sort_values('progress', ignore_index=True)
