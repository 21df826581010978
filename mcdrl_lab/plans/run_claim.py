"""Claims on run folders: marks, on a shared file system, who works in a folder."""

from __future__ import annotations

import json
import os
import socket
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mcdrl_common.json_files import parse_json
from mcdrl_lab.errors import ProtocolError

from .slurm_queue import JOB, job_state

CLAIM_NAME = '.claim'
# States of a job that does not run and will not run again; '' is an unknown job.
_OVER = ('', 'CANCELLED', 'COMPLETED', 'FAILED', 'NODE_FAIL', 'OUT_OF_MEMORY')


class RunClaimedError(ProtocolError):
    """Another process works in the folder; the message says which."""


@dataclass(frozen=True)
class Holder:
    """The process that works in a folder.

    Args:
        host: Name of its machine.
        pid: Its process id there.
        job: Its Slurm job, as ``12_3`` for a task of an array; None outside Slurm.
    """

    host: str
    pid: int
    job: str | None = None

    @classmethod
    def of_this_process(cls) -> Holder:
        """This process, with its machine, process id and Slurm job."""
        environment = os.environ
        job = environment.get('SLURM_JOB_ID')
        if 'SLURM_ARRAY_JOB_ID' in environment:
            array, task = (environment[f'SLURM_ARRAY_{n}_ID'] for n in ('JOB', 'TASK'))
            job = f'{array}_{task}'
        return cls(socket.gethostname(), os.getpid(), job)

    def __str__(self) -> str:
        job = f', Slurm job {self.job}' if self.job else ''
        return f'process {self.pid} on {self.host}{job}'

    def is_alive(self) -> bool:
        """Whether the process may still run; True if that cannot be determined."""
        if self.job is not None:
            # A requeued job keeps its id: a claim of this job is from an earlier
            # process, which is gone.
            mine = Holder.of_this_process()
            return self.job != mine.job and job_state(self.job) not in _OVER
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True


def holder_of(folder: Path) -> Holder | None:
    """The holder that a folder's claim names; None without a claim.

    Args:
        folder: Folder of a run.

    Raises:
        RunClaimedError: The claim cannot be read.
    """
    path = folder / CLAIM_NAME
    try:
        if stat.S_ISREG(path.lstat().st_mode):
            return _parsed(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, RecursionError):
        pass
    raise RunClaimedError(
        f'{path} names no process. If no process works in this folder, remove the file.'
    )


def _parsed(text: str) -> Holder:
    """Parse a claim; raises a ValueError or TypeError if it is not valid."""
    holder = Holder(**parse_json(text))
    right = (
        isinstance(holder.host, str)
        and type(holder.pid) is int
        and 0 < holder.pid < 2**31
        and (holder.job is None or JOB.fullmatch(holder.job))
    )
    if not right:
        raise ValueError('its entries have the wrong type')
    return holder


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Claim a folder while the block runs, visible from all machines.

    The claim is a file that is created atomically by a hard link, so that it needs no
    file locks, which network file systems may lack. Whether an old claim's process
    still runs is found out from the local process list, or from Slurm for a job.

    Args:
        folder: Folder of a run; created if it does not exist.

    Raises:
        RunClaimedError: Another process works there, or may still do so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CLAIM_NAME
    mine = Holder.of_this_process()
    fresh = folder / f'{CLAIM_NAME}-{uuid.uuid4().hex}'
    fresh.write_text(json.dumps(asdict(mine)), encoding='utf-8')
    try:
        while True:
            try:
                os.link(fresh, path)
                break
            except FileExistsError:
                _remove_orphan(folder)
    finally:
        fresh.unlink()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _remove_orphan(folder: Path) -> None:
    """Remove the claim of a dead process; another process may be doing the same."""
    path = folder / CLAIM_NAME
    holder = holder_of(folder)
    if holder is None:
        return
    if holder.is_alive():
        raise RunClaimedError(
            f'{folder} is being worked on by {holder}. If this process has ended, '
            f'remove {path}.'
        )
    aside = folder / f'{CLAIM_NAME}-{uuid.uuid4().hex}'
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _parsed(aside.read_text(encoding='utf-8')) != holder:
        # Another process has claimed the folder since then: restore its claim.
        os.link(aside, path)
    aside.unlink()
