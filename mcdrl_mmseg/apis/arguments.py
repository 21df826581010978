"""Command-line arguments that the tools share with MMSegmentation's."""

from __future__ import annotations

import argparse
import os

from mmengine.config import DictAction


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


def parse_run_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse, and tell MMEngine this process's rank on its machine."""
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args
