"""Showing how a plan gets on: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from .plan import PlannedRun, PlanProgress, State

PLAIN_INTERVAL_S = 60.0


def duration_text(seconds: float | None) -> str:
    """Hours, minutes and seconds; ``'unknown'`` for None.

    Args:
        seconds: A duration.
    """
    if seconds is None or math.isnan(seconds):
        return 'unknown'
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f'{hours}:{minute:02d}:{second:02d}'


def status_line(progress: PlanProgress) -> str:
    """One line on the whole plan.

    Args:
        progress: States of all runs.
    """
    failed = progress.count(State.FAILED)
    words = [
        f'{progress.count(State.DONE)}/{len(progress.runs)} runs done',
        f'{100 * progress.fraction:.0f} %',
        f'{duration_text(progress.seconds_left())} left',
    ]
    if failed:
        words.insert(1, f'{failed} failed')
    return ', '.join(words)


class PlainReporter:
    """Lines: one for each event, and one a minute in between.

    Args:
        progress: States of all runs.
        stream: Where to write.
        interval_s: Seconds between lines without an event.
    """

    def __init__(
        self,
        progress: PlanProgress,
        stream: TextIO | None = None,
        interval_s: float = PLAIN_INTERVAL_S,
    ) -> None:
        self.progress = progress
        self.stream = stream or sys.stdout
        self.interval_s = interval_s
        self._last = -math.inf

    def say(self, text: str) -> None:
        """Write one line.

        Args:
            text: The line.
        """
        print(text, file=self.stream, flush=True)

    def event(self, run: PlannedRun, what: str) -> None:
        """Report what happened to a run.

        Args:
            run: The run.
            what: What happened.
        """
        self._last = time.monotonic()
        self.say(f'[{status_line(self.progress)}] {run}: {what}')

    def tick(self) -> None:
        """Called often; writes now and then."""
        if time.monotonic() - self._last >= self.interval_s:
            self._last = time.monotonic()
            self.say(f'[{status_line(self.progress)}]')

    def close(self) -> None:
        """Nothing is open."""


class TerminalReporter(PlainReporter):
    """Bars for the plan and each running run, with the events above them.

    Args:
        progress: States of all runs.
        console: A terminal.
    """

    def __init__(self, progress: PlanProgress, console: Console) -> None:
        super().__init__(progress)
        self._bars = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            TextColumn('{task.percentage:3.0f} %'),
            TextColumn('{task.fields[note]}'),
            console=console,
            auto_refresh=False,
        )
        self._plan = self._bars.add_task('plan', total=1.0, note='')
        self._tasks: dict[tuple, TaskID] = {}
        self._bars.start()

    def say(self, text: str) -> None:
        """Write one line above the bars.

        Args:
            text: The line.
        """
        self._bars.console.print(text, markup=False, highlight=False)

    def tick(self) -> None:
        """Redraw the bars."""
        self._bars.update(
            self._plan,
            completed=self.progress.fraction,
            note=status_line(self.progress),
        )
        for key, run in self.progress.runs.items():
            if run.state is State.RUNNING and key not in self._tasks:
                name = ' '.join(map(str, key[:3]))
                self._tasks[key] = self._bars.add_task(name, total=1.0, note='')
            elif run.state is not State.RUNNING and key in self._tasks:
                self._bars.remove_task(self._tasks.pop(key))
            if key in self._tasks:
                self._bars.update(self._tasks[key], completed=run.fraction)
        self._bars.refresh()

    def close(self) -> None:
        """Take the bars down."""
        self.tick()
        self._bars.stop()


def make_reporter(progress: PlanProgress) -> PlainReporter:
    """Bars if standard output is a terminal, else lines.

    Args:
        progress: States of all runs.
    """
    console = Console()
    if console.is_terminal:
        return TerminalReporter(progress, console)
    return PlainReporter(progress)
