"""Training and testing as commands: what ``tools/train.py`` and ``tools/test.py`` run.

Both command lines are MMSegmentation's. From an installed package they are
``python -m mcdrl_mmseg.apis.training train CONFIG ...`` and ``... test CONFIG
CHECKPOINT ...``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mmengine.config import Config, DictAction

from mcdrl_common.file_lock import FolderBusyError
from mcdrl_mmseg.engine.training_lock import only_training

from .console import progress_bar, tell_training
from .known_errors import OptionError, without_traceback
from .launch import build_runner, enable_amp, insert_and_check, load_config
from .testing import draw_predictions, save_predictions, use_tta

_MODULE = 'mcdrl_mmseg.apis.training'
# Where torchrun, Slurm and Open MPI tell a process its number.
_RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


@without_traceback('train')
def train_main(argv: Sequence[str] | None = None) -> int:
    """Train a segmentor.

    Args:
        argv: Arguments of ``tools/train.py``; None takes those of this process.

    Returns:
        The exit code: 2 where the user can put right what is wrong, which is said.
    """
    parser = argparse.ArgumentParser(
        description="Train a segmentor; the command line is that of MMSegmentation's "
        'tools/train.py.',
        epilog='Example: python tools/train.py configs/mcdrl/mcdrl_clip-tiny-rn_'
        'segformer_5e_endoscopy-sites-128x128.py '
        '--work-dir work_dirs/try',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='go on from the latest checkpoint in the work folder',
    )
    parser.add_argument(
        '--amp', action='store_true', help='automatic mixed precision training'
    )
    add_run_arguments(parser)
    args = parse_run_arguments(parser, argv)
    cfg = _read_config(args)
    if args.amp:
        with _options_of(cfg):
            enable_amp(cfg)
    cfg.resume = args.resume
    cfg = insert_and_check(cfg)
    with _only_training(cfg.work_dir):
        tell_training(cfg)
        runner = build_runner(cfg)
        with progress_bar(runner):
            runner.train()
    return 0


@contextmanager
def _only_training(work_dir: str) -> Iterator[None]:
    """Keep other trainings out of a work folder, whose files they would share.

    The first process of a training stands for all. A plan holds its own lock on the
    folder of a run, which is therefore another.
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


def _read_config(args: argparse.Namespace) -> Config:
    try:
        return load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    except SyntaxError as error:
        raise OptionError(f'{args.config}: {error}') from None


@contextmanager
def _options_of(cfg: Config) -> Iterator[None]:
    """Options of the command line that are put into a config, and may not fit it."""
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
        The exit code: 2 where the user can put right what is wrong, which is said.
    """
    parser = argparse.ArgumentParser(
        description="Test a checkpoint; the command line is that of MMSegmentation's "
        'tools/test.py.',
        epilog='Example: python tools/test.py CONFIG work_dirs/try/best_mDice_fg.pth '
        '--show-dir overlays',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='folder for the predicted label maps, as PNG')
    parser.add_argument('--show', action='store_true', help='show predictions')
    parser.add_argument(
        '--show-dir', help='folder for overlays; they go to its vis_data/vis_image'
    )
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds a shown image stays'
    )
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    add_run_arguments(parser)
    args = parse_run_arguments(parser, argv)
    cfg = _read_config(args)
    cfg = insert_and_check(cfg, training=False)
    cfg.load_from = args.checkpoint
    with _options_of(cfg):
        if args.show or args.show_dir:
            draw_predictions(cfg, args.show, args.show_dir, args.wait_time)
        if args.tta:
            use_tta(cfg)
        if args.out:
            save_predictions(cfg, args.out)
    build_runner(cfg).test()
    return 0


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--work-dir``, ``--cfg-options``, ``--launcher`` and ``--local-rank``."""
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override entries of the config, as model.backbone.pretrained=clip.pt '
        'or key="[a,b]"',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes it since PyTorch 2.0 with a dash.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def parse_run_arguments(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse, and tell MMEngine this process's rank on its machine.

    Args:
        parser: One with :func:`add_run_arguments`.
        argv: Its arguments; None takes those of this process.
    """
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
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
