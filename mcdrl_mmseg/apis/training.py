"""Training and testing as commands, for ``tools/train.py`` and ``tools/test.py``.

Both command lines are those of MMSegmentation. From an installed package, run
``python -m mcdrl_mmseg.apis.training train CONFIG ...`` and ``... test CONFIG
CHECKPOINT ...``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch.distributed
from mmengine.config import Config, DictAction
from mmengine.dist import is_distributed
from mmengine.runner import Runner

from mcdrl_common.config_datasets import type_name
from mcdrl_common.file_lock import FolderBusyError
from mcdrl_common.training_arguments import test_parser, train_parser
from mcdrl_mmseg.engine.hooks import ConfigCheckHook
from mcdrl_mmseg.engine.hooks.atomic_checkpoint_hook import (
    checkpoint_folder,
    name_checkpoints,
)
from mcdrl_mmseg.engine.quick_steps import quick_steps
from mcdrl_mmseg.engine.training_lock import only_training

from .console import print_training_start, progress_bar
from .known_errors import OptionError, without_traceback
from .label_maps import LabelMapHook
from .run_setup import build_runner, enable_amp, insert_and_check, load_config
from .testing import (
    NoteHook,
    TrainedOnHook,
    draw_predictions,
    use_tta,
)

_MODULE = 'mcdrl_mmseg.apis.training'
# Environment variables for a process's rank in torchrun, Slurm and Open MPI.
_RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


@without_traceback('train')
def train_main(argv: Sequence[str] | None = None) -> int:
    """Train a segmentor.

    Args:
        argv: Arguments of ``tools/train.py``; None takes those of this process.

    Returns:
        The exit code; 2 after an error that the user can fix, which is printed.
    """
    args = parse_run_arguments(train_parser(), argv)
    cfg = _read_config(args)
    if args.amp:
        with _options_of(cfg):
            enable_amp(cfg)
    cfg.resume = args.resume
    cfg = insert_and_check(cfg)
    with _only_training(cfg.work_dir), _leave_group_after():
        _refuse_earlier_run(cfg)
        print_training_start(cfg)
        runner = build_runner(cfg)
        _checking_hook(runner).checked = True
        with progress_bar(runner), quick_steps(runner):
            runner.train()
    return 0


def _checking_hook(runner: Runner) -> ConfigCheckHook:
    """The hook that checks loaded checkpoints; added to configs without it."""
    for hook in runner.hooks:
        if isinstance(hook, ConfigCheckHook):
            return hook
    hook = ConfigCheckHook()
    runner.register_hook(hook)
    return hook


def _refuse_earlier_run(cfg: Config) -> None:
    """Refuse to replace checkpoints of another training, epoch by epoch.

    MMEngine replaces them silently, also with --resume if it finds no last_checkpoint.
    Checkpoints of both trainings would then be in one folder, and a pattern such as
    best_*.pth would match both.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if cfg.resume and (
        cfg.get('load_from')
        or Path(cfg.work_dir, 'last_checkpoint').is_file()
        # It finds the newest checkpoint itself.
        or type_name(hook) == 'AtomicCheckpointHook'
    ):
        return
    folder = checkpoint_folder(cfg.work_dir, hook.get('out_dir'))
    if names := name_checkpoints(folder, hook.get('filename_tmpl')):
        go_on = 'with --resume'
        if cfg.resume:
            go_on += (
                f' --cfg-options load_from=FILE ({cfg.work_dir} has no last_checkpoint)'
            )
        raise OptionError(
            f'{folder} holds checkpoints of an earlier training ({names}), which this '
            f'training would replace. Continue the earlier one {go_on}, choose '
            'another --work-dir, or move the checkpoints away.'
        )


@contextmanager
def _only_training(work_dir: str) -> Iterator[None]:
    """Context that keeps other trainings out of a work folder.

    Only the first process of a training takes the lock. It is not the lock that a plan
    holds on the folder of a run.
    """
    if any(int(os.environ.get(name, 0)) for name in _RANKS):
        yield
        return
    try:
        with only_training(work_dir):
            yield
    except FolderBusyError as busy:
        raise OptionError(
            f'{busy}: wait for it to end, or choose another --work-dir.'
        ) from None


@contextmanager
def _leave_group_after() -> Iterator[None]:
    """Context that destroys the process group of a run that ended without an error.

    Otherwise a process may abort at exit, although its work is done, because a thread
    of gloo still runs. After an error the group stays: destroying it could wait for
    other processes, which wait for this one.
    """
    member_before = is_distributed()
    yield
    if is_distributed() and not member_before:
        torch.distributed.destroy_process_group()


def _read_config(args: argparse.Namespace) -> Config:
    try:
        return load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    except SyntaxError as error:
        raise OptionError(f'{args.config}: {error}') from None


@contextmanager
def _options_of(cfg: Config) -> Iterator[None]:
    """Context that turns options that do not fit the config into an OptionError."""
    try:
        yield
    except ValueError as error:
        raise OptionError(f'{cfg.filename}: {error}') from None


@without_traceback('test')
def test_main(argv: Sequence[str] | None = None) -> int:
    """Test a checkpoint.

    Args:
        argv: Arguments of ``tools/test.py``; None takes those of this process.

    Returns:
        The exit code; 2 after an error that the user can fix, which is printed.
    """
    args = parse_run_arguments(test_parser(), argv)
    cfg = _read_config(args)
    cfg = insert_and_check(cfg, training=False)
    cfg.load_from = args.checkpoint
    note = None
    with _options_of(cfg):
        if args.show or args.show_dir:
            draw_predictions(cfg, args.show, args.show_dir, args.wait_time)
        if args.tta:
            note = use_tta(cfg)
    with _leave_group_after():
        runner = build_runner(cfg)
        _checking_hook(runner)
        runner.register_hook(TrainedOnHook(cfg))
        if args.out:
            runner.register_hook(LabelMapHook(args.out))
        if note:
            runner.register_hook(NoteHook(note))
        runner.test()
    return 0


def parse_run_arguments(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse arguments and options like MMEngine, and set ``LOCAL_RANK``.

    Args:
        parser: A parser with the arguments of
            :func:`~mcdrl_common.training_arguments.add_run_arguments`.
        argv: Its arguments; None takes those of this process.

    Returns:
        The arguments, ``cfg_options`` as a dict of dotted keys and values, or None.
    """
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if args.cfg_options is not None:
        entries, args.cfg_options = args.cfg_options, None
        try:
            DictAction([], 'cfg_options')(parser, args, entries)
        except AssertionError as error:
            parser.error(f'argument --cfg-options: {error}')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``train`` or ``test``, the first argument.

    Args:
        argv: The command and its arguments; None takes those of this process.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog=f'python -m {_MODULE}',
        description='Train a segmentor, or test a checkpoint.',
    )
    parser.add_argument('command', choices=['train', 'test'])
    command = parser.parse_args(arguments[:1]).command
    return (train_main if command == 'train' else test_main)(arguments[1:])


if __name__ == '__main__':
    sys.exit(main())
