"""Starting programs through a process that has imported their modules already."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_SERVER = Path(__file__).with_name('server.py')


class ForkServerError(RuntimeError):
    """The server could not start a program; another way may."""


def can_fork() -> bool:
    """Whether programs can be forked here: elsewhere than Linux it is not safe.

    On macOS system libraries that torch and NumPy use do not survive a fork.
    """
    return sys.platform.startswith('linux')


class ForkServer:
    """Runs Python programs without their cost of importing.

    Importing torch and MMSegmentation takes seconds, in which a short run could have
    trained. A server process does it once; each program then runs in a fork of it. A
    child has its own session, environment and folder, as with
    ``subprocess.Popen(..., start_new_session=True)``, and computes the same.

    The server ends when this process does, however it ends; children that are running
    go on, as they would without a server.

    Args:
        modules: Modules to import beforehand. They must not start threads or open a
            GPU when imported.
        environment: The server's environment. Libraries read some variables when they
            are loaded, as ``OMP_NUM_THREADS``: those must be the programs' own.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(_SERVER), str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def start(
        self,
        command: Sequence[str],
        output: IO[bytes],
        held: int,
        environment: Mapping[str, str],
    ) -> ForkedProcess:
        """Start a program; waits for the imports if need be.

        Args:
            command: Path of the Python program and its arguments.
            output: File for what it writes to standard output and standard error.
            held: File descriptor that the program is to hold open.
            environment: Its environment.

        Raises:
            ForkServerError: The server is gone, or cannot fork.
        """
        request = {
            'command': list(command),
            'cwd': os.getcwd(),
            'environment': dict(environment),
        }
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                files = [theirs.fileno(), output.fileno(), held]
                with self._lock:
                    socket.send_fds(self._control, [b'1'], files)
            ours.sendall(json.dumps(request).encode() + b'\n')
            return ForkedProcess(ours)
        except OSError as error:
            ours.close()
            raise ForkServerError(f'the fork server is gone: {error}') from error
        except ForkServerError:
            ours.close()
            raise

    def close(self) -> None:
        """End the server; children that are running go on."""
        self._control.close()
        self._process.wait()


class ForkedProcess:
    """A program that a :class:`ForkServer` runs.

    Args:
        reply: The server's answers.

    Attributes:
        pid: Process id, and id of its session and process group.
        returncode: Exit code, negative for a signal; None while it runs.

    Raises:
        ForkServerError: There is no such program: the server ended before.
    """

    def __init__(self, reply: socket.socket) -> None:
        self._reply = reply
        self._rest = b''
        self.returncode: int | None = None
        started = self._answer('pid')
        if started is None:
            raise ForkServerError('the fork server ended before it started a program.')
        self.pid = started

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Returns:
            The exit code. If the server was killed, which alone could tell, the
            program is killed too.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        if self.returncode is None:
            self._reply.settimeout(timeout)
            try:
                code = self._answer('exit')
            except TimeoutError:
                raise subprocess.TimeoutExpired(
                    f'process {self.pid}', timeout or 0.0
                ) from None
            if code is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                code = -signal.SIGKILL
            self.returncode = code
            self._reply.close()
        return self.returncode

    def _answer(self, word: str) -> int | None:
        """The number after a word; None if the server is gone."""
        while b'\n' not in self._rest:
            try:
                received = self._reply.recv(64)
            except ConnectionError:
                received = b''
            if not received:
                return None
            self._rest += received
        line, _, self._rest = self._rest.partition(b'\n')
        told, number = line.split()
        assert told.decode() == word
        return int(number)
