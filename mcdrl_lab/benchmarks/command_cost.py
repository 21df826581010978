"""Time and memory of a command and all processes that it starts."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.child_process import processes_below

_LOOK_EVERY_S = 0.5
_LAST_ONES_S = 10.0
_SET_CHILD_SUBREAPER = 36  # of prctl(2)


class Cost(NamedTuple):
    """What a command took.

    Attributes:
        wall_s: Seconds from its start to its end.
        processor_s: CPU seconds of all its processes, user and system.
        peak_mb: Peak memory of all processes together, in 10^6 bytes; shared pages
            count once.
        largest_mb: Peak memory of a single process, in 10^6 bytes; shared pages count
            in proportion.
        code: Its exit code.
    """

    wall_s: float
    processor_s: float
    peak_mb: float
    largest_mb: float
    code: int


def measure_command(
    command: Sequence[str],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Cost:
    """Run a command to its end and measure it; this process must not do anything else.

    Orphaned processes of the command, as those of a plan's fork server, become children
    of this process: the system adds a process's CPU time to the one that waits for it.

    Args:
        command: Program and arguments.
        folder: Its working folder; None for that of this process.
        environment: All its environment variables; None for those of this process.

    Raises:
        ProtocolError: It cannot be started, or the system is not Linux.
    """
    if not sys.platform.startswith('linux'):
        raise ProtocolError('command-cost reads /proc, which only Linux has.')
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = _children_s()
    start = time.monotonic()
    peak = largest = 0
    try:
        running = subprocess.Popen(command, cwd=folder, env=environment)
    except OSError as error:
        raise ProtocolError(f'{command[0]}: {error.strerror}.') from None
    with running:
        while running.poll() is None:
            below = processes_below(os.getpid())
            held = [_proportional_bytes(one.pid) for one in below]
            peak, largest = max(peak, sum(held)), max(largest, *held, 0)
            time.sleep(_LOOK_EVERY_S)
    wall = time.monotonic() - start
    _wait_for_the_rest()
    taken = _children_s() - before
    return Cost(wall, taken, peak / 1e6, largest / 1e6, running.returncode)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wait_for_the_rest() -> None:
    """Wait for remaining children: a fork server takes a moment to end."""
    end = time.monotonic() + _LAST_ONES_S
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < end:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                time.sleep(0.05)


def _proportional_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        text = Path(f'/proc/{pid}/smaps_rollup').read_text()
        for line in text.splitlines():
            if line.startswith('Pss:'):
                return 1024 * int(line.split()[1])
    return 0
