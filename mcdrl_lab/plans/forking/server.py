"""The process that is forked: imports once, then runs programs in its children.

Started as ``python server.py SOCKET MODULE...`` by :class:`.client.ForkServer`, which
see. It uses the standard library alone, and never starts a thread, opens a GPU or
computes anything: a child inherits modules and nothing else.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

# Lets torch.cuda.is_available(), which packages call when imported, ask the driver's
# management library; the usual way would make CUDA unusable in the children.
_SAFE_CUDA_CHECK = 'PYTORCH_NVML_BASED_CUDA_CHECK'
_ATTACHED_FILES = 3


def preload(modules: list[str]) -> None:
    """Import what the programs import; what cannot be is left to them to report.

    Args:
        modules: Names of modules.
    """
    before = os.environ.get(_SAFE_CUDA_CHECK)
    os.environ[_SAFE_CUDA_CHECK] = '1'
    for name in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    if before is None:
        del os.environ[_SAFE_CUDA_CHECK]
    else:
        os.environ[_SAFE_CUDA_CHECK] = before
    # Otherwise a child's first collection would copy all memory that is shared now.
    gc.collect()
    gc.freeze()


class Server:
    """Forks a child for each request, and passes on how it ended.

    A request is one byte on the control socket with three files attached: the
    request's own socket, the log, and a file that the child is to hold open. On its
    own socket stands one line of JSON: ``command`` (program and arguments), ``cwd`` and
    ``environment``. There the child answers ``pid N``, and the server ``exit N`` when
    the child has ended; N is negative for a signal.

    Args:
        control: The control socket. Its end is the end of the server.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._replies: dict[int, socket.socket] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        self._previous_wakeup = signal.set_wakeup_fd(self._wake)
        self._previous_handler = signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> list[str] | None:
        """Serve until the other end of the control socket is closed.

        Returns:
            In a child, the command that it is to run; in the server None, at the end.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._woken, 4096)
                    self._reap()
                if self._control in ready:
                    byte, files, _, _ = socket.recv_fds(
                        self._control, 1, _ATTACHED_FILES
                    )
                    if not byte:
                        return None
                    command = self._fork(*files)
                    if command is not None:
                        return command

    def _reap(self) -> None:
        """Tell how children ended."""
        while self._replies:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            reply = self._replies.pop(pid)
            # Nobody may be left to listen.
            with contextlib.suppress(OSError), reply:
                reply.sendall(f'exit {os.waitstatus_to_exitcode(status)}\n'.encode())

    def _fork(self, reply_fd: int, log_fd: int, held_fd: int) -> list[str] | None:
        reply = socket.socket(fileno=reply_fd)
        try:
            with reply.makefile('r', encoding='utf-8') as lines:
                request = json.loads(lines.readline())
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
        except (OSError, ValueError):
            # Its asker has gone, or there is no memory: it sees the socket close.
            pid = None
        if pid == 0:
            self._become_child(reply, log_fd, held_fd, request)
            return request['command']
        os.close(log_fd)
        os.close(held_fd)
        if pid is None:
            reply.close()
        else:
            self._replies[pid] = reply
        return None

    def _become_child(
        self, reply: socket.socket, log_fd: int, held_fd: int, request: dict[str, Any]
    ) -> None:
        """Be as a process that was started on its own."""
        os.setsid()
        with reply:
            reply.sendall(f'pid {os.getpid()}\n'.encode())
        signal.signal(signal.SIGCHLD, self._previous_handler)
        signal.set_wakeup_fd(self._previous_wakeup)
        self._control.close()
        for other in self._replies.values():
            other.close()
        os.close(self._woken)
        os.close(self._wake)
        os.dup2(log_fd, 1)
        os.dup2(log_fd, 2)
        os.close(log_fd)
        os.set_inheritable(held_fd, True)
        os.environ.clear()
        os.environ.update(request['environment'])
        os.chdir(request['cwd'])
        program, *arguments = request['command']
        sys.argv = [program, *arguments]
        sys.orig_argv = [sys.executable, program, *arguments]
        sys.path.insert(0, str(Path(program).resolve().parent))
        if 'numpy' in sys.modules:
            # As in a new process; else all children would draw the same numbers.
            sys.modules['numpy'].random.seed()


def main() -> None:
    """Preload and serve; in a child, run the program to its end."""
    number, *modules = sys.argv[1:]
    # Python puts the script's own folder there, which is none of the programs'.
    here = str(Path(__file__).resolve().parent)
    if sys.path and str(Path(sys.path[0]).resolve()) == here:
        del sys.path[0]
    server = Server(socket.socket(fileno=int(number)))
    preload(modules)
    command = server.serve()
    if command is not None:
        # An exception in it, or SystemExit, ends the process as it would any other.
        runpy.run_path(command[0], run_name='__main__')


if __name__ == '__main__':
    main()
