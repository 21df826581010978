"""A plan: every method on every fold with every seed, and its progress."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from statistics import fmean
from typing import Any

from mcdrl_lab.errors import ProtocolError

from .folder_names import ORACLE_ENDING, check_name, run_folder_of

_SHOWN = 300


def check_config_file(where: str, config: str | os.PathLike) -> None:
    """Refuse a config path that is not a file.

    Args:
        where: Where it is named, for the message.
        config: Path of the config.

    Raises:
        ProtocolError: There is no such file.
    """
    try:
        there = Path(config).is_file()
    except (OSError, ValueError):
        # The name is too long, or has a NUL or a lone surrogate.
        there = False
    if not there:
        name = repr(os.fspath(config))
        shown = name if len(name) <= _SHOWN else f'{name[:_SHOWN]}...'
        raise ProtocolError(f'{where}: no config file {shown}.')


@dataclass(frozen=True)
class Method:
    """A row of the final table: a config with changes.

    Args:
        name: Name of the method.
        config: Path of its experiment config.
        cfg_options: Dotted config key -> new value.
    """

    name: str
    config: str
    cfg_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name('method', self.name)
        check_config_file(self.name, self.config)


def parse_method(text: str) -> Method:
    """Read ``[NAME=]CONFIG``.

    Args:
        text: The argument. Without a name, the file's name is taken, without the suffix
            ``_heldout-SITE`` that configs of single folds have.

    Raises:
        ProtocolError: There is no such config.
    """
    name, equals, config = text.partition('=')
    if not equals or Path(text).is_file():
        name, config = re.sub(r'_heldout-[^_]*$', '', Path(text).stem), text
    return Method(name, config)


@dataclass(frozen=True)
class PlannedRun:
    """One training run and its test.

    Args:
        method: The method to train.
        held_out: The held-out site: tested, not trained on.
        seed: Random seed.
        selection: ``'validation'`` or ``'oracle'``.
    """

    method: Method
    held_out: str
    seed: int
    selection: str = 'validation'

    @property
    def key(self) -> tuple[str, str, int, str]:
        """Unique key of the run, as in :attr:`RunRecord.key`."""
        return self.method.name, self.held_out, self.seed, self.selection

    @property
    def folder(self) -> Path:
        """The run's folder, relative to the plan's."""
        return Path(run_folder_of(*self.key))

    def __str__(self) -> str:
        return self.folder.as_posix()


def build_plan(
    methods: Sequence[Method],
    sites: Sequence[str],
    seeds: Sequence[int],
    selection: str = 'validation',
) -> list[PlannedRun]:
    """List the runs of methods x folds x seeds.

    Seeds vary slowest and methods fastest, so that a plan that is stopped early still
    has complete comparisons.

    Args:
        methods: Methods, with different names.
        sites: Sites to hold out in turn.
        seeds: Random seeds.
        selection: How checkpoints are chosen.

    Raises:
        ProtocolError: Two methods share a name, or a name has the ending that marks
            oracle runs.
    """
    names = [method.name for method in methods]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProtocolError(
            f'several methods are named {", ".join(twice)}: give each its own name, as '
            'NAME=CONFIG.'
        )
    for name in names:
        if name.endswith(ORACLE_ENDING):
            raise ProtocolError(
                f'method {name!r}: names must not end with {ORACLE_ENDING}, which '
                'marks runs whose checkpoint was chosen on the held-out site. Use '
                'another name.'
            )
    return [
        PlannedRun(method, site, seed, selection)
        for seed in seeds
        for site in sites
        for method in methods
    ]


class State(Enum):
    """State of a planned run."""

    WAITING = 'waiting'
    RUNNING = 'running'
    DONE = 'done'
    FAILED = 'failed'


@dataclass
class RunProgress:
    """Progress of one run.

    Args:
        state: Its state.
        fraction: Share of its training that is done, 0 to 1.
        started: Clock time in seconds at which this command started or resumed it.
        fraction_at_start: Share that was done by then.
        duration_s: Duration of a finished run in seconds, all attempts together.
    """

    state: State = State.WAITING
    fraction: float = 0.0
    started: float = 0.0
    fraction_at_start: float = 0.0
    duration_s: float = float('nan')


class PlanProgress:
    """States of all runs of a plan and an estimate of the time left.

    Args:
        runs: The plan.
        jobs: Number of runs at a time.
    """

    def __init__(self, runs: Sequence[PlannedRun], jobs: int = 1) -> None:
        self.jobs = jobs
        self.runs = {run.key: RunProgress() for run in runs}

    def count(self, state: State) -> int:
        """Number of runs in a state."""
        return sum(progress.state is state for progress in self.runs.values())

    def finish(self, key: tuple, state: State, duration_s: float) -> None:
        """Note the end of a run.

        Args:
            key: Key of the run.
            state: ``DONE`` or ``FAILED``.
            duration_s: Its duration in seconds; NaN if unknown.
        """
        progress = self.runs[key]
        progress.state, progress.duration_s = state, duration_s
        if state is State.DONE:
            progress.fraction = 1.0

    def start(self, key: tuple, fraction: float, now: float | None = None) -> None:
        """Note the start of a run.

        Args:
            key: Key of the run.
            fraction: Share that earlier commands had done.
            now: Clock time in seconds; the current time by default.
        """
        progress = self.runs[key]
        progress.state = State.RUNNING
        progress.fraction = progress.fraction_at_start = fraction
        progress.started = time.monotonic() if now is None else now

    @property
    def fraction(self) -> float:
        """Share of the whole plan that is done; failed runs count as done."""
        if not self.runs:
            return 1.0
        shares = [
            1.0 if p.state in (State.DONE, State.FAILED) else p.fraction
            for p in self.runs.values()
        ]
        return sum(shares) / len(shares)

    def seconds_left(self, now: float | None = None) -> float | None:
        """Estimate the time until the plan is done.

        A run is assumed to take the mean duration of the finished runs. Before any has
        finished, the duration is extrapolated from the running ones.

        Args:
            now: Clock time in seconds; the current time by default.

        Returns:
            Seconds, or None as long as no estimate is possible.
        """
        now = time.monotonic() if now is None else now
        progress = self.runs.values()
        running = [p for p in progress if p.state is State.RUNNING]
        lasted = [
            p.duration_s
            for p in progress
            if p.state is State.DONE and p.duration_s == p.duration_s
        ]
        if not lasted:
            lasted = [
                (now - p.started) / (p.fraction - p.fraction_at_start)
                for p in running
                if p.fraction > p.fraction_at_start and now > p.started
            ]
        waiting = self.count(State.WAITING)
        if not running and not waiting:
            return 0.0
        if not lasted:
            return None
        each = fmean(lasted)
        rests = [max(each * (1.0 - p.fraction), 0.0) for p in running]
        # No plan ends before its longest run, however many jobs there are.
        shared = (sum(rests) + waiting * each) / self.jobs
        return max([shared, *rests, each if waiting else 0.0])
