"""Checkpoints that survive a killed run, a full disk or a damaged file."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS
from torch import Tensor

from mcdrl_common import InputError
from mcdrl_mmseg.engine.atomic_backend import ATOMIC_BACKEND

_POINTER = 'last_checkpoint'
# File names of MMEngine's CheckpointHook: by default, and of best checkpoints.
_CHECKPOINT = re.compile(r'((epoch|iter)_\d+|best_.+)\.pth').fullmatch
_VALIDATED = 'validated_at'


class NonFiniteWeightsError(InputError, RuntimeError):
    """Weights about to be saved are NaN or infinite; the message names them."""


def checkpoint_folder(work_dir: str, out_dir: str | None) -> Path:
    """Where MMEngine's ``CheckpointHook`` writes.

    Args:
        work_dir: The training's work folder.
        out_dir: The hook's ``out_dir``, to which the work folder's name is appended.
    """
    work = os.path.abspath(work_dir)
    return Path(work) if out_dir in (None, work) else Path(out_dir, Path(work).name)


def name_checkpoints(folder: Path, template: str | None) -> str:
    """The first checkpoints of a folder as text for messages.

    Args:
        folder: The folder, which need not exist.
        template: The hook's ``filename_tmpl``.

    Returns:
        Up to three names and the number of the others; empty if there is none.
    """
    from mcdrl_common.whole_checkpoint import name_pattern

    own = name_pattern(template or 'epoch_{}.pth').fullmatch
    files = folder.iterdir() if folder.is_dir() else ()
    names = sorted(p.name for p in files if own(p.name) or _CHECKPOINT(p.name))
    more = f' and {len(names) - 3} more' if len(names) > 3 else ''
    return ', '.join(names[:3]) + more


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` for runs that may be killed at any moment.

    - A checkpoint is written to a temporary file, which is renamed when complete.
    - The oldest checkpoint, or the former best one, is removed after its successor is
      complete; MMEngine removes it before.
    - ``resume=True`` resumes from the newest intact checkpoint. A truncated or changed
      file is skipped and named in the log.
    - A run resumes from its own work folder and removes nothing outside it. MMEngine
      stores absolute paths: a copied work folder would resume from the original
      folder's checkpoint, and remove the best one there.
    - Below ``out_dir``, work folders of one name share a folder of checkpoints: a work
      folder in which no run has saved one is not resumed from there.
    - If the checkpoint replaces the config's learning rate or schedule, the log names
      both values. A checkpoint without them, as the best one, or with other schedules
      is not resumed from.
    - A second training in the same work folder, or with the same folder of
      checkpoints (``out_dir`` and the work folder's name), stops with an error.
    - Non-finite weights are never saved: the run stops, and earlier checkpoints stay.
    - Under MMEngine's ``FlexibleRunner`` a resumed run does not skip an epoch. Its
      strategies write files in place, and load before any hook is called: there is no
      temporary file, and a damaged checkpoint ends a resumed run.
    - If a run ended between a checkpoint and its validation, the resumed run validates
      first; otherwise that epoch could never become the best one.

    Args:
        backend_args: As for ``CheckpointHook``. None writes files as described above;
            for remote storage, ``out_dir='s3://...'``, MMEngine chooses the backend.
        **kwargs: As for ``CheckpointHook``.

    Examples:
        >>> default_hooks = dict(
        ...     checkpoint=dict(
        ...         type='AtomicCheckpointHook',
        ...         interval=1,
        ...         max_keep_ckpts=1,
        ...         save_best='mDice_fg',
        ...         rule='greater'))
        >>> resume = True
    """

    # Attributes of MMEngine's hook.
    max_keep_ckpts: int
    keep_ckpt_ids: deque

    # Epoch and iteration of the checkpoint being written; empty for the best one.
    _counts: Mapping[str, int] = MappingProxyType({})
    # Settings of the config, before a checkpoint was loaded; None in a fresh run.
    _asked: dict[str, Any] | None = None
    # Why the loaded checkpoint cannot be resumed from.
    _not_resumable: str | None = None
    _locked: tuple[Path, ...] = ()

    def __init__(self, backend_args: dict | None = None, **kwargs: Any) -> None:
        self._is_local = '://' not in str(kwargs.get('out_dir'))
        if backend_args is None and self._is_local:
            backend_args = dict(backend=ATOMIC_BACKEND)
        super().__init__(backend_args=backend_args, **kwargs)

    def before_run(self, runner: Runner) -> None:
        """Before a run is resumed, point ``last_checkpoint`` at an intact file.

        Raises:
            CheckpointError: The checkpoints below ``out_dir`` may be another run's.
        """
        self._asked = None
        if runner._resume:
            from mcdrl_mmseg.engine.resumed_settings import training_settings

            self._asked = training_settings(runner)
        if runner._resume and runner._load_from is None and self._is_local:
            from mcdrl_mmseg.engine.main_process import on_main_process
            from mcdrl_mmseg.safe_loading import CheckpointError

            on_main_process(lambda: self._point_at_whole(runner), CheckpointError)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note why no training can be resumed from the checkpoint, if that is so.

        A test may follow, which needs the weights alone: the config that a resumed run
        wrote has ``resume=True``.
        """
        self._not_resumable = None
        if self._asked is not None:
            from mcdrl_mmseg.engine.resumed_settings import resuming_problem

            self._not_resumable = resuming_problem(runner, checkpoint)

    def _point_at_whole(self, runner: Runner) -> None:
        from mcdrl_common.whole_checkpoint import is_whole, newest_whole

        pointer = Path(runner.work_dir, _POINTER)
        named = pointer.read_text().strip() if pointer.is_file() else ''
        folder = checkpoint_folder(runner.work_dir, self.out_dir)
        if not named and folder != checkpoint_folder(runner.work_dir, None):
            _refuse_foreign(runner.work_dir, folder, self.filename_tmpl)
        # The folder may have been moved or copied since the path was written.
        own = folder / Path(named).name
        found: Path | None = own
        if not named or not is_whole(own):
            found = (
                newest_whole(folder, self.filename_tmpl) if folder.is_dir() else None
            )
            if named:
                on = f'the run goes on from {found}'
                runner.logger.warning(
                    f'{own} is missing, truncated or changed, and is not used: '
                    f'{on if found else "no other is intact, the run starts anew"}.'
                )
        if found is None:
            pointer.unlink(missing_ok=True)
        elif str(found) != named:
            from mcdrl_common.atomic_write import write_text

            write_text(pointer, str(found))

    def before_train(self, runner: Runner) -> None:
        """Lock the run's folders, report resumed settings, run a missed validation.

        Raises:
            CheckpointError: The run is resumed from a checkpoint without the state of
                optimizer or schedules, or with another number or type of schedules.
            FolderBusyError: Another process trains in one of them. MMSegmentation's
                own tools/train.py has already written its config by then.
        """
        if self._not_resumable:
            from mcdrl_mmseg.safe_loading import CheckpointError

            raise CheckpointError(self._not_resumable)
        if self._is_local and is_main_process():
            from mcdrl_mmseg.engine.training_lock import take_work_folder

            for out_dir in (None, self.out_dir):
                folder = checkpoint_folder(runner.work_dir, out_dir)
                if take_work_folder(folder):
                    self._locked += (folder,)
        super().before_train(runner)
        if self._asked is not None:
            from mcdrl_mmseg.engine.resumed_settings import (
                count_steps_by_epochs,
                tell_if_all_is_done,
                warn_of_replaced_settings,
            )

            warn_of_replaced_settings(runner, self._asked)
            count_steps_by_epochs(runner)
            tell_if_all_is_done(runner)
        if self.save_best and self._is_local:
            self._keep_best_in_own_folder(runner)
        if self.max_keep_ckpts > 0:
            # MMEngine's deque has a maxlen, which would drop the oldest entry silently.
            self.keep_ckpt_ids = deque(self.keep_ckpt_ids)
        if self._validation_was_missed(runner):
            runner.logger.info(
                'The run ended before the validation of its last checkpoint was done: '
                'validating now.'
            )
            runner.val_loop.run()

    def after_train(self, runner: Runner) -> None:
        """Release the locks on the run's folders."""
        super().after_train(runner)
        for folder in self._locked:
            from mcdrl_mmseg.engine.training_lock import release_work_folder

            release_work_folder(folder)
        self._locked = ()

    def _keep_best_in_own_folder(self, runner: Runner) -> None:
        """Replace the path of a best checkpoint by that of its copy in this folder.

        If there is no copy, the best score stays the one to beat, without a file.
        """
        own: dict[str, str | None] = {}
        for key, path in self._best().items():
            own[key] = path and str(Path(self.out_dir, Path(path).name))
            if path and own[key] != path:
                if not Path(str(own[key])).is_file():
                    runner.logger.warning(
                        f"The best checkpoint so far, {path}, is not in this run's "
                        f'folder {self.out_dir}, and is not changed. Copy it there to '
                        'keep it with this run.'
                    )
                    own[key] = None
                info = f'best_ckpt_{key}' if key else 'best_ckpt'
                runner.message_hub.update_info(info, own[key])
        self._set_best(own)

    @staticmethod
    def _validation_was_missed(runner: Runner) -> bool:
        loop = runner.train_loop
        if runner.iter == 0 or runner.val_loop is None:
            return False
        if isinstance(loop, EpochBasedTrainLoop):
            done, end = runner.epoch, runner.max_epochs
        elif isinstance(loop, IterBasedTrainLoop):
            done, end = runner.iter, runner.max_iters
        else:
            return False
        loop._decide_current_val_interval()
        due = done >= loop.val_begin and (done % loop.val_interval == 0 or done == end)
        return due and runner.message_hub.get_info(_VALIDATED) != runner.iter

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Note the validation, and save the best checkpoint."""
        runner.message_hub.update_info(_VALIDATED, runner.iter)
        super().after_val_epoch(runner, metrics)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse non-finite weights, which even a step with a finite loss can cause.

        All weights about to be written are checked, averaged ones included. Infinity is
        allowed only in attention masks, which are buffers.

        Raises:
            NonFiniteWeightsError: There are such weights; the message names them.
        """
        bad = [
            name
            for name, value in checkpoint.get('state_dict', {}).items()
            if isinstance(value, Tensor)
            and value.is_floating_point()
            # Quick test first, in a tenth of the time: a non-finite term makes the sum
            # non-finite.
            and not value.sum().isfinite()
            and (value.isnan() if 'mask' in name else ~value.isfinite()).any()
        ]
        if bad:
            raise NonFiniteWeightsError(
                f'{len(bad)} weights are NaN or infinite at iteration {runner.iter} '
                f'({", ".join(bad[:4])}{", ..." if len(bad) > 4 else ""}): no '
                'checkpoint was written. Lower the learning rate or clip the '
                'gradients, and go on from the last checkpoint with --resume.'
            )
        # After a validation MMEngine's FlexibleRunner saves the checkpoint again, with
        # counts that are one too high: a resumed run would skip an epoch.
        if self._counts:
            checkpoint['meta'].update(self._counts)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        epoch, iteration = runner.epoch, runner.iter
        epoch, iteration = (step, iteration) if self.by_epoch else (epoch, step)
        self._counts = dict(epoch=epoch, iter=iteration)
        try:
            self._save_and_remove_oldest(runner, step, meta)
        finally:
            self._counts = {}

    def _save_and_remove_oldest(self, runner: Runner, step: int, meta: dict) -> None:
        keep = self.max_keep_ckpts
        if keep <= 0:
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        # Keep one more while writing. The new checkpoint also lists the oldest one: if
        # the run is killed before its removal, the resumed run removes it.
        self.max_keep_ckpts = keep + 1
        try:
            super()._save_checkpoint_with_step(runner, step, meta)
        finally:
            self.max_keep_ckpts = keep
        while len(self.keep_ckpt_ids) > keep:
            name = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
            self._remove(self.file_backend.join_path(self.out_dir, name))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        # `Runner.val` without training has no best checkpoint.
        if not self.save_best or not hasattr(self, 'file_backend'):
            return
        before = self._best()
        # Hidden from MMEngine, which would remove the former best before saving.
        self._set_best(dict.fromkeys(before))
        super()._save_best_checkpoint(runner, metrics)
        after = self._best()
        self._set_best({key: after.get(key) or path for key, path in before.items()})
        for key, path in before.items():
            if path and after.get(key) not in (None, path):
                self._remove(path)

    def _best(self) -> dict[str, str | None]:
        if len(self.key_indicators) > 1:
            return dict(self.best_ckpt_path_dict)
        return {'': self.best_ckpt_path}

    def _set_best(self, paths: dict[str, str | None]) -> None:
        if len(self.key_indicators) > 1:
            self.best_ckpt_path_dict = paths
        else:
            self.best_ckpt_path = paths['']

    def _remove(self, path: str) -> None:
        if is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)


def _refuse_foreign(work_dir: str, folder: Path, template: str | None) -> None:
    """Refuse to resume from a folder that only shares its name with the work folder."""
    from mcdrl_mmseg.safe_loading import CheckpointError

    if names := name_checkpoints(folder, template):
        raise CheckpointError(
            f'{folder} holds checkpoints ({names}), but {work_dir} has no '
            f'{_POINTER}: they may belong to another run, as out_dir of the checkpoint '
            'hook is shared by all work folders of one name. Choose a --work-dir with '
            "another name. If they are this run's, resume from one of them with "
            '--resume --cfg-options load_from=FILE; from best ones no run is resumed, '
            'so if there are no others, move them away to start anew.'
        )
