"""A function in a process of its own, started where everything is imported already."""

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
    """Runs a function of command-line arguments in a process of its own.

    Importing torch and MMSegmentation takes seconds, in which a short run could have
    trained. On Linux the standard library's fork server imports them once; a child is
    a fork of it. Elsewhere a child is a new interpreter: on macOS system libraries that
    torch and NumPy use do not survive a fork, and Windows has none. Either way a child
    computes what a program started on its own would.

    It leads a session and process group of its own, so that its data loaders end with
    it. In a ``with`` statement it runs for as long as the block, at most.

    Args:
        function: Module and name of a function that takes a list of arguments and
            returns an exit code, as ``'package.module:main'``.
        arguments: Its arguments.
        environment: The child's environment; by default that of this process.
        log: File that its output is appended to; None leaves it where this process's
            goes.
        lock: Folder that it holds while it runs, see
            :func:`~mcdrl_common.file_lock.folder_lock`: it is seen to be busy there
            even if this process was killed.
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
        """Start it; the first child of this process waits for the imports."""
        self._context.set_forkserver_preload(self._preload)
        # Libraries read some variables when they are loaded, as OMP_NUM_THREADS.
        with environment_variables(self._environment):
            self._process.start()
        return self

    @property
    def pid(self) -> int | None:
        """Process id, and id of its session and process group."""
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """What :func:`multiprocessing.connection.wait` waits for."""
        return self._process.sentinel

    @property
    def exitcode(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Returns:
            The exit code, or None if it still runs.
        """
        self._process.join(timeout)
        return self.exitcode

    def interrupt(self) -> None:
        """Ask the child and its own children to end; does not wait."""
        if self.pid is not None and self.exitcode is None:
            self._below |= processes_below(self.pid)
        self._signal(signal.SIGTERM)
        # One that is stopped would not hear it.
        if hasattr(signal, 'SIGCONT'):
            self._signal(signal.SIGCONT)

    def end(self) -> None:
        """End the child and all that it started, kindly at first."""
        if self.pid is None or self.exitcode == 0:
            return
        if self.exitcode is None:
            self.interrupt()
            self.wait(_GRACE_S)
            self._below |= processes_below(self.pid)
        # Also after it has ended: its data loaders notice that late, or its fork server
        # was killed, and it lives on.
        kill = getattr(signal, 'SIGKILL', signal.SIGTERM)
        self._signal(kill)
        # The ranks of torchrun are sessions of their own.
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
            # Ended, or not yet come to lead a group.
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
    """How children are started on this system; a process has one fork server."""
    if sys.platform.startswith('linux'):
        return multiprocessing.get_context('forkserver')
    return multiprocessing.get_context('spawn')


class Process(NamedTuple):
    """A running process, told from a later one of the same number.

    Attributes:
        pid: Its number.
        started: When, in ticks of the system.
    """

    pid: int
    started: int


def processes_below(pid: int) -> set[Process]:
    """What a process has started, and what that has; empty outside Linux.

    Args:
        pid: The process.
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
            # The name, in parentheses, may hold anything.
            fields = path.read_text(errors='replace').rpartition(')')[2].split()
            found[Process(int(path.parent.name), int(fields[19]))] = int(fields[1])
    return found


@contextlib.contextmanager
def environment_variables(environment: Mapping[str, str]) -> Iterator[None]:
    """Have other environment variables for a while.

    Args:
        environment: All of them.
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
    """Be as a process that was started on its own, and run the function."""
    if hasattr(os, 'setsid'):
        os.setsid()
    if log is not None:
        with open(log, 'ab') as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [function, *arguments]
    # Data loaders are to start their workers in the platform's way, not in this one.
    multiprocessing.set_start_method(None, force=True)
    if 'numpy' in sys.modules:
        # Forks share the state; else all children would draw the same numbers.
        sys.modules['numpy'].random.seed()
    module, _, name = function.partition(':')
    with folder_lock(lock) if lock is not None else contextlib.nullcontext():
        code = getattr(importlib.import_module(module), name)(arguments)
        # Forks of the standard library leave it out before Python 3.13.
        atexit._run_exitfuncs()
    sys.exit(code)
