"""Base class of the engines that carry out the runs of a plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .plan import PlannedRun, PlanProgress, State
from .prepared import PreparedRun, check_groups, check_siblings
from .progress import Reporter
from .records import RECORDS_NAME, read_latest
from .run_folder import RunFolder


@dataclass(frozen=True)
class Failure:
    """A run that failed.

    Args:
        run: The run.
        error: The reason, in one line.
    """

    run: PlannedRun
    error: str


class PlanEngine(ABC):
    """Tracks the unfinished runs of a plan, its progress and its failures.

    Args:
        runs: Prepared runs.
        out: Folder of the plan, which contains ``records.jsonl``.
        jobs: Number of runs at a time.
        keep_checkpoints: Keep the checkpoints of the last epochs of a finished run,
            which only resuming needs. The tested checkpoint is always kept.
        reporter: Shows the progress; by default on standard output.
    """

    def __init__(
        self,
        runs: Sequence[PreparedRun],
        out: Path,
        jobs: int,
        keep_checkpoints: bool,
        reporter: Reporter | None,
    ) -> None:
        self.runs = list(runs)
        self.out = out
        self.records_path = out / RECORDS_NAME
        self.jobs = jobs
        self.keep_checkpoints = keep_checkpoints
        self.progress = PlanProgress([item.run for item in self.runs], jobs)
        self.reporter = reporter or Reporter(self.progress)
        self.reporter.progress = self.progress
        self.failures: list[Failure] = []

    @abstractmethod
    def execute(self) -> list[Failure]:
        """Carry out the unfinished runs of the plan; return those that failed."""

    def _folder(self, item: PreparedRun) -> RunFolder:
        return RunFolder(self.out / item.run.folder)

    def _unfinished(self) -> list[PreparedRun]:
        """Runs without a finished record. All runs are checked before any starts."""
        records = {record.key: record for record in read_latest(self.records_path)}
        unfinished = []
        for item in self.runs:
            record = records.get(item.run.key)
            if record is not None and record.status == 'done':
                item.check_record(record)
                self.progress.finish(item.run.key, State.DONE, record.duration_s)
            else:
                self._folder(item).check(item.cfg, item.origin)
                unfinished.append(item)
        check_siblings(unfinished, records.values())
        check_groups(unfinished, records.values(), self.out)
        return unfinished

    def _note_end(self, run: PlannedRun, error: str | None, seconds: float) -> None:
        """Report the end of a run, and remember a failure."""
        state = State.FAILED if error else State.DONE
        self.progress.finish(run.key, state, seconds)
        self.reporter.event(run, f'FAILED: {error}' if error else 'done')
        if error:
            self.failures.append(Failure(run, error))

    def _update_fractions(self, items: Iterable[PreparedRun]) -> None:
        """Update the progress of the running runs from their folders."""
        for item in items:
            progress = self.progress.runs[item.run.key]
            if progress.state is State.RUNNING:
                progress.fraction = self._folder(item).training_fraction(
                    item.cfg, item.iters_per_epoch
                )
