"""Runs a function in a child process that has the slow imports already."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mcdrl_common.file_lock import folder_lock

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

_GRACE_S = 10.0


class ChildProcess:
    """Runs a function of command-line arguments in a child process.

    Importing torch and MMSegmentation takes seconds, as long as a short training. On
    Linux the standard library's fork server imports them once, and each child is a fork
    of it. Elsewhere a child is a new interpreter: on macOS system libraries that torch
    and NumPy use do not survive a fork, and Windows has no fork. Either way a child
    computes the same as a program started on its own.

    The child leads its own session and process group, so that its data loaders can be
    ended with it. In a ``with`` statement it is ended when the block is left.

    Args:
        function: Module and name of a function that takes a list of arguments and
            returns an exit code, as ``'package.module:main'``.
        arguments: Its arguments.
        environment: The child's environment; by default that of this process.
        log: File to which its output is appended; None uses the output of this process.
        lock: Folder that the child locks while it runs, see
            :func:`~mcdrl_common.file_lock.folder_lock`. The folder stays locked even if
            this process is killed.
        preload: Modules that the fork server imports when the first child of this
            process starts. They must neither start threads nor open a GPU.
    """

    def __init__(
        self,
        function: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        lock: Path | None = None,
        preload: Sequence[str] = (),
    ) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._preload = list(preload)
        self._context = start_context()
        self._process: BaseProcess = self._context.Process(
            target=_run,
            args=(function, list(arguments), self._environment, log, lock),
            name=function,
        )

        self._below: set[Process] = set()

    def start(self) -> ChildProcess:
        """Start the child; the first child of this process waits for the imports."""
        self._context.set_forkserver_preload(self._preload)
        # Libraries read some variables, as OMP_NUM_THREADS, when they are loaded.
        with environment_variables(self._environment):
            self._process.start()
        return self

    @property
    def pid(self) -> int | None:
        """Process id, and id of its session and process group."""
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """Handle for :func:`multiprocessing.connection.wait`."""
        return self._process.sentinel

    @property
    def exitcode(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end.

        Args:
            timeout: Most seconds to wait; None waits without limit.

        Returns:
            The exit code, or None if the child still runs.
        """
        self._process.join(timeout)
        return self.exitcode

    def interrupt(self) -> None:
        """Ask the child and its own children to end; does not wait."""
        if self.pid is not None and self.exitcode is None:
            self._below |= processes_below(self.pid)
        self._signal(signal.SIGTERM)
        # A suspended process would not react to SIGTERM.
        if hasattr(signal, 'SIGCONT'):
            self._signal(signal.SIGCONT)

    def end(self) -> None:
        """End the child and all processes that it started: SIGTERM, then SIGKILL."""
        if self.pid is None or self.exitcode == 0:
            return
        if self.exitcode is None:
            self.interrupt()
            self.wait(_GRACE_S)
            self._below |= processes_below(self.pid)
        # Also if it has an exit code: its data loaders may still run, or, if the fork
        # server was killed, the child itself.
        kill = getattr(signal, 'SIGKILL', signal.SIGTERM)
        self._signal(kill)
        # torchrun's ranks have their own sessions, so the group signal misses them.
        for process in self._below & running_processes():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, kill)
        self.wait()

    def _signal(self, number: int) -> None:
        assert self.pid is not None
        if not hasattr(os, 'killpg'):
            self._process.terminate()
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            # It has ended, or does not lead a process group yet.
            if self.exitcode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)

    def __enter__(self) -> ChildProcess:
        try:
            return self.start()
        except BaseException:
            self.end()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self.end()


def start_context() -> ForkServerContext | SpawnContext:
    """Multiprocessing context for children on this system.

    All children of a process share one fork server.
    """
    if sys.platform.startswith('linux'):
        return multiprocessing.get_context('forkserver')
    return multiprocessing.get_context('spawn')


class Process(NamedTuple):
    """A running process; the start time tells it from a later one with the same id.

    Attributes:
        pid: Process id.
        started: Start time, in clock ticks since boot.
    """

    pid: int
    started: int


def processes_below(pid: int) -> set[Process]:
    """All descendants of a process; empty outside Linux.

    Args:
        pid: Id of the process.
    """
    parents = _parents()
    found: set[Process] = set()
    above = {pid}
    while above:
        below = {one for one, parent in parents.items() if parent in above} - found
        found |= below
        above = {one.pid for one in below}
    return found


def running_processes() -> set[Process]:
    """All processes of the machine; empty outside Linux."""
    return set(_parents())


def _parents() -> dict[Process, int]:
    found = {}
    for path in Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError, IndexError, ValueError):
            # The process name, in parentheses, may contain any character.
            fields = path.read_text(errors='replace').rpartition(')')[2].split()
            found[Process(int(path.parent.name), int(fields[19]))] = int(fields[1])
    return found


@contextlib.contextmanager
def environment_variables(environment: Mapping[str, str]) -> Iterator[None]:
    """Replace the environment variables within a block.

    Args:
        environment: The complete new environment.
    """
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run(
    function: str,
    arguments: list[str],
    environment: dict[str, str],
    log: Path | None,
    lock: Path | None,
) -> None:
    """Run the function in the child, set up like a program started on its own."""
    if hasattr(os, 'setsid'):
        os.setsid()
    if log is not None:
        with open(log, 'ab') as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [function, *arguments]
    # Data loaders must start workers by the platform's default, not by this context.
    multiprocessing.set_start_method(None, force=True)
    if 'numpy' in sys.modules:
        # Forks inherit NumPy's random state: all children would draw the same numbers.
        sys.modules['numpy'].random.seed()
    module, _, name = function.partition(':')
    with folder_lock(lock) if lock is not None else contextlib.nullcontext():
        code = getattr(importlib.import_module(module), name)(arguments)
        # Before Python 3.13 multiprocessing's forks do not run atexit functions.
        atexit._run_exitfuncs()
    sys.exit(code)
