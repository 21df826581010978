"""Serve a local web page to try a model on images."""

from __future__ import annotations

import argparse

from mcdrl_lab.shared_arguments import add_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab serve work_dirs/try/epoch_1.pth '
        '--examples data/endoscopy_sites/polypgen_c1/images'
    )
    parser.add_argument('checkpoint', help='trained model with MCDRL')
    parser.add_argument('--config', help='config file; default: the one in CHECKPOINT')
    parser.add_argument('--examples', metavar='DIR', help='folder of images to offer')
    parser.add_argument(
        '--conformal',
        metavar='FILE',
        help='threshold of python -m mcdrl_lab conformal, whose mask is shown too',
    )
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen on; the default is reached from this machine alone',
    )
    parser.add_argument('--port', type=int, default=7860, help='default: 7860')
    parser.add_argument(
        '--max-upload-mb',
        type=float,
        default=10.0,
        metavar='MB',
        help='largest file that can be uploaded (default: 10)',
    )
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Serve until interrupted."""
    from .server import serve

    serve(**vars(args))
