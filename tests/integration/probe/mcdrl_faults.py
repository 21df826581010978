"""Records the progress of a training and makes it fail; configs of tests import it.

Every event adds a byte to the file that ``MCDRL_EVENTS`` names: a step begun, a
checkpoint half written, wholly written, and in place, a validation begun. At event
number ``MCDRL_HOLD_AT`` the process waits for its end. ``MCDRL_FAULT`` names a
fault for the fourth step: ``worker``, ``rank``, ``disk`` or the image that vanishes.
"""

import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import time
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from mcdrl_mmseg.engine import atomic_backend

_EVENTS = Path(os.environ['MCDRL_EVENTS'])
_HOLD_AT = int(os.environ.get('MCDRL_HOLD_AT', 0))
_FAULT = os.environ.get('MCDRL_FAULT', '')
_FAULT_STEP = 4
# If the test itself is killed, nothing else may end this process.
_LONGEST_HOLD_S = 600


def event():
    """Record an event; wait if the test wants to hold the process here."""
    with _EVENTS.open('ab') as file:
        file.write(b'.')
    if _EVENTS.stat().st_size == _HOLD_AT:
        time.sleep(_LONGEST_HOLD_S)


class _HalfByHalf:
    """A file that records when half and when all of its content is written."""

    def __init__(self, path, mode):
        self._file = open(path, mode)  # noqa: SIM115 (closed by __exit__)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._file.close()

    def write(self, content):
        self._file.write(content[: len(content) // 2])
        self._file.flush()
        event()
        self._file.write(content[len(content) // 2 :])
        self._file.flush()
        event()

    def __getattr__(self, name):
        return getattr(self._file, name)


atomic_backend.open = _HalfByHalf


@HOOKS.register_module()
class FaultHook(Hook):
    """Record steps and validations; cause the fault, once."""

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        event()
        # The second attempt of a job that torchrun has restarted is left alone.
        first = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0') == '0'
        if _FAULT and first and runner.iter + 1 == _FAULT_STEP:
            _fail()

    def after_train_epoch(self, runner):
        event()

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        event()


def _fail():
    if _FAULT == 'worker':
        workers = multiprocessing.active_children()
        for worker in workers:
            os.kill(worker.pid, signal.SIGKILL)
        # The signal of their death raises the loader's error here. Without the wait an
        # epoch may end first on a busy machine, and its loader forget them.
        multiprocessing.connection.wait([worker.sentinel for worker in workers])
        time.sleep(5)
    elif _FAULT == 'rank':
        if get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    elif _FAULT == 'disk':
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    else:
        Path(_FAULT).rename(f'{_FAULT}.vanished')
