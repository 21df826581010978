"""Shows the progress of a plan: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from .plan import PlannedRun, PlanProgress, State

LINE_INTERVAL_S = 60.0


def status_line(progress: PlanProgress) -> str:
    """One line about the progress of the whole plan.

    Args:
        progress: States of all runs.
    """
    failed = progress.count(State.FAILED)
    seconds = progress.seconds_left()
    left = 'unknown' if seconds is None else timedelta(seconds=round(seconds))
    words = [
        f'{progress.count(State.DONE)}/{len(progress.runs)} runs done',
        f'{100 * progress.fraction:.0f} %',
        f'time left {left}',
    ]
    if failed:
        words.insert(1, f'{failed} failed')
    return ', '.join(words)


class Reporter:
    """Prints events as lines, and below them a bar for the plan and each running run.

    Without a terminal it prints a status line every minute instead of the bars.

    Args:
        progress: States of all runs.
        console: Where to write; by default standard output.
    """

    def __init__(self, progress: PlanProgress, console: Console | None = None) -> None:
        self.progress = progress
        self._console = console or Console()
        self._bars = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            TextColumn('{task.percentage:3.0f} %'),
            TextColumn('{task.fields[note]}'),
            console=self._console,
            auto_refresh=False,
            disable=not self._console.is_terminal,
        )
        self._plan = self._bars.add_task('plan', total=1.0, note='')
        self._tasks: dict[tuple, TaskID] = {}
        self._last_line = -math.inf
        self._bars.start()

    def say(self, text: str) -> None:
        """Write one line.

        Args:
            text: The line.
        """
        self._last_line = time.monotonic()
        self._console.out(text, highlight=False)

    def event(self, run: PlannedRun, what: str) -> None:
        """Report what happened to a run.

        Args:
            run: The run.
            what: What happened.
        """
        self.say(f'[{status_line(self.progress)}] {run}: {what}')

    def tick(self) -> None:
        """Redraw the bars, or write the status line if it is due; called often."""
        if self._bars.disable:
            if time.monotonic() - self._last_line >= LINE_INTERVAL_S:
                self.say(f'[{status_line(self.progress)}]')
            return
        note = status_line(self.progress)
        self._bars.update(self._plan, completed=self.progress.fraction, note=note)
        for key, run in self.progress.runs.items():
            running = run.state is State.RUNNING
            if running and key not in self._tasks:
                name = ' '.join(map(str, key[:3]))
                self._tasks[key] = self._bars.add_task(name, total=1.0, note='')
            elif not running and key in self._tasks:
                self._bars.remove_task(self._tasks.pop(key))
            if running:
                self._bars.update(self._tasks[key], completed=run.fraction)
        self._bars.refresh()

    def close(self) -> None:
        """Update the bars once more and stop them."""
        self.tick()
        self._bars.stop()
