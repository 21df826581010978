"""One run as a Slurm job: claims its folder, trains, tests, writes its record there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from mcdrl_common.atomic_write import write_text
from mcdrl_common.file_lock import folder_lock

from .launch import Launch
from .one_run import carry_out, check_exit_code, failed_record
from .prepared import PreparedRun
from .run_claim import claimed
from .run_folder import RunFolder

RECORD_NAME = 'record.json'
_GRACE_S = 10.0


class RunTask:
    """The callable of a job; submitit calls it again after the job was requeued.

    Args:
        item: The run.
        out: Folder of the plan.
        launch: How its training and test are started.
    """

    def __init__(self, item: PreparedRun, out: Path, launch: Launch) -> None:
        self.item = item
        self.out = out
        self.launch = launch
        self._process: subprocess.Popen | None = None

    def __call__(self) -> None:
        """Carry out the run, and write its record to its folder, even if it failed."""
        folder = RunFolder(self.out / self.item.run.folder)
        # The claim is for other machines, the lock for the local engine.
        with claimed(folder.path), folder_lock(folder.path):
            try:
                record = self._carry_out(folder)
            except Exception as caught:
                record = failed_record(self.item, folder, caught)
            write_text(folder.path / RECORD_NAME, record.to_json())
        print(f'{self.item.run}: {record.error or "done"}', flush=True)

    def checkpoint(self) -> Any:
        """End the current stage, because the job timed out or is preempted.

        Returns:
            This run, for submitit to submit again; it resumes from its checkpoint.
        """
        from submitit.helpers import DelayedSubmission

        self._end()
        return DelayedSubmission(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_process': None}

    def _carry_out(self, folder: RunFolder) -> Any:
        def stage(name: str, arguments: list[str]) -> Generator[None, None, None]:
            with folder.attempt(name) as log:
                begin = log.stat().st_size if log.exists() else 0
                with open(log, 'ab') as output:
                    code = self._run([*self.launch.command(name, arguments)], output)
            check_exit_code(code, log, begin)
            yield from ()

        steps = carry_out(
            self.item, folder, stage, event=lambda what: print(what, flush=True)
        )
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    def _run(self, command: list[str], output: Any) -> int:
        # Stay in this process group, which Slurm ends as a whole. Slurm also sends the
        # requeue signal to the whole group, but only this process must react.
        self._process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
            preexec_fn=_ignore_requeue_signal,
        )
        try:
            return self._process.wait()
        finally:
            self._end()
            self._process.wait()

    def _end(self) -> None:
        """End the stage: SIGTERM, then SIGKILL; safe to call in a signal handler."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        # Not through Popen: its wait, which the signal interrupts, holds a lock.
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.kill(process.pid, number)
            end = time.monotonic() + _GRACE_S
            while not _has_ended(process.pid):
                if time.monotonic() > end:
                    break
                time.sleep(0.05)
            else:
                return


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; its exit code stays available to ``wait``."""
    try:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, pid, flags) is not None
    except ChildProcessError:
        return True


def _ignore_requeue_signal() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _environment() -> dict[str, str]:
    """The job's environment without the variables that make a training use Slurm."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(('SLURM_', 'PMI'))},
        'PYTHONUNBUFFERED': '1',
    }
