"""Segment images, folders, videos and DICOM files with a trained checkpoint."""

import argparse
import sys

import mcdrl_common.quiet_tools  # noqa: F401  (before what it silences)

# The keys of mcdrl_mmseg.apis.outputs.plain_outputs.OUTPUTS, whose import takes long.
OUTPUTS = ('masks', 'overlays', 'probabilities', 'coco', 'contours', 'flags')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} The exit code is 0 if all went well, 1 if inputs were '
        'skipped, which are then named, and 2 if nothing could be done.',
        epilog='Example: python tools/predict.py best.pth images/ clip.mp4 --out out '
        '--save masks overlays coco --batch-size 8',
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'input',
        nargs='+',
        help='image, folder (with its subfolders), pattern, video or DICOM file',
    )
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument(
        '--save',
        nargs='+',
        choices=OUTPUTS,
        default=['masks', 'overlays'],
        help='what to write (default: masks overlays)',
    )
    parser.add_argument(
        '--config', help='config file; by default the one in the checkpoint is used'
    )
    parser.add_argument('--device', help='as cuda:0 or cpu; by default a GPU if any')
    parser.add_argument(
        '--batch-size', type=int, default=1, help='images at once (default: 1)'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace results of an earlier run'
    )
    parser.add_argument(
        '--conformal',
        metavar='FILE',
        help='threshold of python -m mcdrl_lab conformal; its masks are written to '
        'conformal/ and conformal.json',
    )
    parser.add_argument(
        '--presence',
        metavar='FILE',
        help='threshold of python -m mcdrl_lab presence; masks that are empty where '
        'the network is less sure are written to presence/ and presence.json',
    )
    parser.add_argument(
        '--max-pixels',
        type=int,
        help='largest image that is read, in pixels (default: 89 million)',
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    # --help and a wrong argument need none of these.
    import mcdrl_mmseg  # noqa: F401  (registers the components)
    from mcdrl_mmseg.apis.tool_commands import predict, run_tool

    return run_tool('predict', predict, args)


if __name__ == '__main__':
    sys.exit(main())
