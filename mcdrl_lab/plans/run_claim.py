"""Who works in a run's folder, told from anywhere on a shared file system."""

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
# States of a job that runs, or may go on to do so.
_OVER = ('', 'CANCELLED', 'COMPLETED', 'FAILED', 'NODE_FAIL', 'OUT_OF_MEMORY')


class RunClaimedError(ProtocolError):
    """Somebody else works in the folder; the message says who."""


@dataclass(frozen=True)
class Holder:
    """Who works in a folder.

    Args:
        host: Name of the machine.
        pid: Process there.
        job: Slurm job, as ``12_3`` for a task of an array; None outside of Slurm.
    """

    host: str
    pid: int
    job: str | None = None

    @classmethod
    def of_this_process(cls) -> Holder:
        """This process, by its machine, number and Slurm job."""
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
        """Whether it may still work; True where nobody here can tell."""
        if self.job is not None:
            # A requeued job has its number again, and its earlier process is gone.
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
    """Who works in a folder, by its own word; None for nobody.

    Args:
        folder: Of a run.

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
        f'{path} names nobody. If nothing works in this folder, remove the file.'
    )


def _parsed(text: str) -> Holder:
    """A claim's holder; raises a ValueError or TypeError for what is none."""
    holder = Holder(**parse_json(text))
    right = (
        isinstance(holder.host, str)
        and type(holder.pid) is int
        and 0 < holder.pid < 2**31
        and (holder.job is None or JOB.fullmatch(holder.job))
    )
    if not right:
        raise ValueError('its entries are of another type')
    return holder


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Work in a folder, and let others on any machine see it.

    The file's name appears whole or not at all, so that it needs no locks of the file
    system, which networks may not have. What a killed process left is told from a live
    one by asking its machine, or Slurm for its job.

    Args:
        folder: Of a run; made if it does not exist.

    Raises:
        RunClaimedError: Somebody else works there, or may.
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
    """Take a dead one's claim away; another one may do so at the same time."""
    path = folder / CLAIM_NAME
    holder = holder_of(folder)
    if holder is None:
        return
    if holder.is_alive():
        raise RunClaimedError(
            f'{folder} is being worked on by {holder}. If that is no longer so, remove '
            f'{path}.'
        )
    aside = folder / f'{CLAIM_NAME}-{uuid.uuid4().hex}'
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _parsed(aside.read_text(encoding='utf-8')) != holder:
        # Meanwhile somebody else had taken it: give it back.
        os.link(aside, path)
    aside.unlink()
