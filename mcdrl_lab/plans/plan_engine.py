"""What is alike wherever the runs of a plan are carried out."""

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
        error: Why, in one line.
    """

    run: PlannedRun
    error: str


class PlanEngine(ABC):
    """Keeps track of a plan: what is left of it, how far it has come, what failed.

    Args:
        runs: Prepared runs.
        out: Folder of the plan; ``records.jsonl`` is in it.
        jobs: Number of runs at a time.
        keep_checkpoints: Keep what only resuming needs, weights and optimiser state
            of the last epochs, after a run is finished; the tested checkpoint is
            kept in any case.
        reporter: Where progress is shown; by default standard output.
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
        """Carry out what is left of the plan; gives the runs that failed."""

    def _folder(self, item: PreparedRun) -> RunFolder:
        return RunFolder(self.out / item.run.folder)

    def _unfinished(self) -> list[PreparedRun]:
        """Runs without a finished record, all checked before any is started."""
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
        """Show and keep how a run ended."""
        state = State.FAILED if error else State.DONE
        self.progress.finish(run.key, state, seconds)
        self.reporter.event(run, f'FAILED: {error}' if error else 'done')
        if error:
            self.failures.append(Failure(run, error))

    def _update_fractions(self, items: Iterable[PreparedRun]) -> None:
        """Look up how far the runs in progress have come."""
        for item in items:
            progress = self.progress.runs[item.run.key]
            if progress.state is State.RUNNING:
                progress.fraction = self._folder(item).training_fraction(
                    item.cfg, item.iters_per_epoch
                )
