"""Serve a local web page to try a model on images."""

import argparse
import sys

from mcdrl_lab.serving.server import ServeError, serve


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Example: python tools/serve.py work_dirs/real_demo/epoch_1.pth '
        '--examples data/endoscopy_sites/polypgen_c1/images',
    )
    parser.add_argument('checkpoint', help='trained model with MCDRL')
    parser.add_argument('--config', help='config file; default: the one in CHECKPOINT')
    parser.add_argument('--examples', metavar='DIR', help='folder of images to offer')
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
    parser.add_argument('--device', help='as cuda:0; default: a GPU if there is one')
    args = parser.parse_args()
    try:
        serve(**vars(args))
    except ServeError as error:
        sys.exit(f'serve: {error}')


if __name__ == '__main__':
    main()
