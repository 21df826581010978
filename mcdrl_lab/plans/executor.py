"""Running a plan: every run a process of its own, resumable, several at a time."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mcdrl_common.image_records import read_records as read_image_records
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.file_lock import FolderLock

from .forking import ForkedProcess, ForkServer, ForkServerError, can_fork
from .launch import launch_command
from .plan import PlannedRun, PlanProgress, State
from .prepared import PreparedRun
from .progress import PlainReporter, make_reporter
from .records import (
    RECORDS_NAME,
    RunRecord,
    append_record,
    latest_records,
    read_records,
)
from .run_folder import RunFolder, last_words

_POLL_S = 0.5
_GRACE_S = 10.0


class RunFailed(Exception):
    """One run failed; the plan goes on."""


class Stopped(Exception):
    """The whole command was asked to stop."""


@dataclass(frozen=True)
class Tools:
    """The programs that a run consists of, and how they are started.

    Args:
        train: Path of ``train.py``.
        test: Path of ``test.py``.
        launcher: As their ``--launcher``.
        processes: Number of processes a run.
        modules: What both programs import and what takes long. Where the system allows
            it, and without a launcher, it is imported once for all runs; see
            :class:`~mcdrl_lab.plans.forking.ForkServer`.
    """

    train: Path
    test: Path
    launcher: str = 'none'
    processes: int = 1
    modules: tuple[str, ...] = ()

    def preloads(self) -> bool:
        """Whether runs start from a process that has imported the modules."""
        return bool(self.modules) and self.launcher == 'none' and can_fork()


@dataclass(frozen=True)
class Failure:
    """A run that failed.

    Args:
        run: The run.
        error: Why, in one line.
    """

    run: PlannedRun
    error: str


class PlanExecutor:
    """Runs or resumes every run of a plan and records the results.

    Finished runs are left alone, begun ones go on, failed ones are tried again. A
    failure does not stop the others.

    Args:
        runs: Prepared runs.
        out: Folder of the plan; ``records.jsonl`` is in it.
        tools: What to start.
        jobs: Number of runs at a time.
        devices: CUDA devices to share out among the jobs, as for
            ``CUDA_VISIBLE_DEVICES``; empty leaves the environment as it is.
        keep_checkpoints: Keep what only resuming needs, weights and optimiser state
            of the last epochs, after a run is finished; the tested checkpoint is
            kept in any case.
        reporter: Where progress is shown; by default standard output.

    Raises:
        ProtocolError: A run of the same name was done with other settings or data.
    """

    def __init__(
        self,
        runs: Sequence[PreparedRun],
        out: str | os.PathLike,
        tools: Tools,
        *,
        jobs: int = 1,
        devices: Sequence[str] = (),
        keep_checkpoints: bool = False,
        reporter: PlainReporter | None = None,
    ) -> None:
        if jobs < 1:
            raise ProtocolError(
                f'--jobs {jobs}: at least one run must go on at a time.'
            )
        self.runs = list(runs)
        self.out = Path(out)
        self.records_path = self.out / RECORDS_NAME
        self.tools = tools
        self.jobs = jobs
        self.keep_checkpoints = keep_checkpoints
        self.progress = PlanProgress([item.run for item in self.runs], jobs)
        self.reporter = reporter or make_reporter(self.progress)
        self.reporter.progress = self.progress
        self._stop = threading.Event()
        self._server: ForkServer | None = None
        self._slots: queue.Queue[str | None] = queue.Queue()
        for number in range(jobs):
            self._slots.put(devices[number % len(devices)] if devices else None)

    def execute(self) -> list[Failure]:
        """Carry out what is left of the plan.

        Returns:
            The runs that failed.

        Raises:
            ProtocolError: Another command works on the same folder, or a run was begun
                with other settings.
            KeyboardInterrupt: The command was stopped; its processes were ended.
        """
        with FolderLock(self.out):
            left = self._left()
            if left and self.tools.preloads():
                environment = self._environment(None)
                self._server = ForkServer(self.tools.modules, environment)
            try:
                return self._execute(left)
            finally:
                if self._server is not None:
                    self._server.close()
                self.reporter.close()

    def _left(self) -> list[PreparedRun]:
        """Runs without a finished record, all checked before any is started."""
        records = {r.key: r for r in latest_records(read_records(self.records_path))}
        left = []
        for item in self.runs:
            record = records.get(item.run.key)
            if record is not None and record.status == 'done':
                item.check_record(record)
                key, seconds = item.run.key, record.duration_s
                self.progress.finish(key, State.DONE, seconds)
            else:
                RunFolder(self.out / item.run.folder).check(item.cfg)
                left.append(item)
        return left

    def _execute(self, left: list[PreparedRun]) -> list[Failure]:
        failures: list[Failure] = []
        if len(left) < len(self.runs):
            self.reporter.say(
                f'{len(self.runs) - len(left)} of {len(self.runs)} runs are finished '
                'already and are not run again.'
            )
        pool = ThreadPoolExecutor(self.jobs)
        futures: dict[Future, PreparedRun] = {
            pool.submit(self._carry_out, item): item for item in left
        }
        pending = set(futures)
        try:
            while pending:
                done, pending = wait(pending, _POLL_S, FIRST_COMPLETED)
                self._watch(left)
                for future in done:
                    failure = self._settle(futures[future], future)
                    if failure is not None:
                        failures.append(failure)
                self.reporter.tick()
        finally:
            # Reached early only when the command is stopped: end what is running.
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return failures

    def _watch(self, items: list[PreparedRun]) -> None:
        """Look up how far the running runs have come."""
        for item in items:
            progress = self.progress.runs[item.run.key]
            if progress.state is State.RUNNING:
                folder = RunFolder(self.out / item.run.folder)
                progress.fraction = folder.training_fraction(
                    item.cfg, item.iters_per_epoch
                )

    def _settle(self, item: PreparedRun, future: Future) -> Failure | None:
        """Record the outcome of a run; here and nowhere else."""
        run = item.run
        try:
            record: RunRecord = future.result()
            error = None
        except Exception as caught:
            # Whatever goes wrong with one run must not stop the others.
            error = ' '.join(str(caught).split())
            if not isinstance(caught, (RunFailed, ProtocolError)):
                error = f'{type(caught).__name__}: {error}'
            duration = RunFolder(self.out / run.folder).duration_s
            record = item.record(status='failed', error=error, duration_s=duration)
        append_record(self.records_path, record)
        state = State.DONE if error is None else State.FAILED
        self.progress.finish(run.key, state, record.duration_s)
        if error is None:
            if not self.keep_checkpoints:
                RunFolder(self.out / run.folder).drop_resume_points()
            self.reporter.event(run, 'done')
            return None
        self.reporter.event(run, f'FAILED: {error}')
        return Failure(run, error)

    def _carry_out(self, item: PreparedRun) -> RunRecord:
        """Train and test one run, from wherever it stands."""
        device = self._slots.get()
        lock = FolderLock(self.out / item.run.folder)
        try:
            self._take(lock, item)
            return self._stages(item, lock, device)
        finally:
            lock.release()
            self._slots.put(device)

    def _take(self, lock: FolderLock, item: PreparedRun) -> None:
        """Wait for processes that outlived an earlier command which was killed."""
        told = False
        while not lock.try_acquire():
            if not told:
                self.reporter.event(
                    item.run, f'still busy through {lock.holder()}; waiting for it'
                )
                told = True
            if self._stop.wait(_POLL_S):
                raise Stopped

    def _stages(
        self, item: PreparedRun, lock: FolderLock, device: str | None
    ) -> RunRecord:
        folder = RunFolder(self.out / item.run.folder)
        folder.prepare(item.cfg)
        work_dir = ['--work-dir', str(folder.path)]
        if not folder.state.get('checkpoint'):
            resume = folder.has_checkpoint()
            fraction = folder.training_fraction(item.cfg, item.iters_per_epoch)
            self.progress.start(item.run.key, fraction)
            self.reporter.event(item.run, 'resumed' if resume else 'started')
            arguments = [str(folder.config_path), *work_dir]
            arguments += ['--resume'] if resume else []
            self._spawn('train', self.tools.train, arguments, folder, lock, device)
            folder.update(checkpoint=folder.best_checkpoint().name)
        else:
            self.progress.start(item.run.key, 1.0)
        if not folder.state.get('tested'):
            self.reporter.event(item.run, f'trained, now testing {item.run.held_out}')
            checkpoint = folder.path / folder.state['checkpoint']
            arguments = [str(folder.config_path), str(checkpoint), *work_dir]
            folder.records_path.unlink(missing_ok=True)
            self._spawn('test', self.tools.test, arguments, folder, lock, device)
            if not folder.records_path.is_file():
                raise RunFailed(
                    f'the test wrote no {folder.records_path}; see '
                    f'{folder.path / "test.log"}'
                )
            folder.update(tested=True)
        content = read_image_records(folder.records_path)
        return item.record(
            metrics={
                name: float('nan') if value is None else value
                for name, value in content['metrics'].items()
            },
            images=content['images'],
            duration_s=folder.duration_s,
        )

    def _spawn(
        self,
        stage: str,
        tool: Path,
        arguments: list[str],
        folder: RunFolder,
        lock: FolderLock,
        device: str | None,
    ) -> None:
        """Start one process and wait for its end."""
        if self._stop.is_set():
            raise Stopped
        launcher, processes = self.tools.launcher, self.tools.processes
        command = launch_command(tool, arguments, launcher, processes)
        with folder.attempt(stage) as log, open(log, 'ab') as output:
            begin = output.tell()
            environment = self._environment(device)
            process = self._start(command, output, lock.fileno(), environment)
            lock.note(f'process {process.pid}')
            code = self._wait(process)
        if code:
            text = log.read_bytes()[begin:].decode('utf-8', 'replace')
            reason = last_words(text)
            if code < 0:
                reason = f'ended by signal {-code} ({signal.Signals(-code).name})'
            raise RunFailed(f'{reason or f"exit code {code}"} (see {log})')

    def _start(
        self,
        command: list[str],
        output: IO[bytes],
        lock: int,
        environment: dict[str, str],
    ) -> subprocess.Popen | ForkedProcess:
        """Start a command in a process group of its own, that holds the lock.

        Of its own, so that its data loaders end with it; the lock goes along, so that
        it is seen if this command is killed.
        """
        if self._server is not None:
            # What the server has not is a fault of the programs' own, at most: they
            # say it themselves when they are started the plain way.
            with contextlib.suppress(ForkServerError):
                return self._server.start(command[1:], output, lock, environment)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            pass_fds=(lock,),
        )

    def _wait(self, process: subprocess.Popen | ForkedProcess) -> int:
        while True:
            try:
                return process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                if self._stop.is_set():
                    _end(process)
                    raise Stopped from None

    def _environment(self, device: str | None) -> dict[str, str]:
        environment = dict(os.environ)
        if self.jobs > 1:
            # Otherwise every job takes all cores, and all become slow.
            threads = max(1, (os.cpu_count() or 1) // self.jobs)
            environment.setdefault('OMP_NUM_THREADS', str(threads))
        if device is not None:
            environment['CUDA_VISIBLE_DEVICES'] = device
        return environment


def _end(process: subprocess.Popen | ForkedProcess) -> None:
    """End a process and its group, kindly at first."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(_GRACE_S)
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()
