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
    parser.add_argument('checkpoint', help='checkpoint of a model trained with MCDRL')
    parser.add_argument(
        '--config', help='config file (default: the one stored in the checkpoint)'
    )
    parser.add_argument(
        '--examples',
        metavar='DIR',
        help='folder of example images to offer on the page',
    )
    parser.add_argument(
        '--conformal',
        metavar='FILE',
        help='threshold file of python -m mcdrl_lab conformal; the page also shows '
        'the mask at this threshold',
    )
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen on (default: 127.0.0.1, reachable from this machine '
        'only)',
    )
    parser.add_argument(
        '--port', type=int, default=7860, help='port to listen on (default: 7860)'
    )
    parser.add_argument(
        '--max-upload-mb',
        type=float,
        default=10.0,
        metavar='MB',
        help='largest upload, in MB (default: 10)',
    )
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Serve until interrupted."""
    from .server import serve

    serve(**vars(args))
