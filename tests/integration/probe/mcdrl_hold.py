"""Holds a training at a known point; configs of the integration tests import it."""

import time
from pathlib import Path

from mmengine.hooks import Hook
from mmseg.registry import HOOKS

_LIMIT_S = 1800


@HOOKS.register_module()
class HoldHook(Hook):
    """Wait before an epoch for as long as a file exists.

    Args:
        file: The file; ``.held`` is added to its name while a training waits.
        work_dir: End of the work folder of the one run that waits; others go on.
        epochs: Number of finished epochs, after which it waits.
    """

    def __init__(self, file, work_dir, epochs):
        self.file = Path(file)
        self.work_dir = work_dir
        self.epochs = epochs

    def before_train_epoch(self, runner):
        if runner.epoch != self.epochs or not runner.work_dir.endswith(self.work_dir):
            return
        # If the test itself is killed, nothing else may end this process.
        end = time.monotonic() + _LIMIT_S
        while self.file.exists():
            Path(f'{self.file}.held').touch()
            if time.monotonic() > end:
                raise TimeoutError(f'{self.file} was there for {_LIMIT_S} s.')
            time.sleep(0.05)
