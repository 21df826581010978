"""Segment images, folders, videos and DICOM files with a trained checkpoint."""

import argparse
import sys

import mcdrl_common.quiet_tools  # noqa: F401  (before what it silences)
from mcdrl_common.folder_argument import folder_name

# The keys of mcdrl_mmseg.apis.outputs.plain_outputs.OUTPUTS, whose import takes long.
OUTPUTS = ('masks', 'overlays', 'probabilities', 'coco', 'contours', 'flags')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Exit code: 0 if all inputs were processed, 1 if some '
        'were skipped (they are listed), 2 if nothing could be done.',
        epilog='Example: python tools/predict.py best.pth images/ clip.mp4 --out out '
        '--save masks overlays coco --batch-size 8',
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'input',
        nargs='+',
        help='images, folders (searched recursively), glob patterns, videos or DICOM '
        'files',
    )
    parser.add_argument(
        '--out', type=folder_name, required=True, help='folder for the results'
    )
    parser.add_argument(
        '--save',
        nargs='+',
        choices=OUTPUTS,
        default=['masks', 'overlays'],
        help='what to write (default: masks overlays)',
    )
    parser.add_argument(
        '--config', help='config file (default: the one stored in the checkpoint)'
    )
    parser.add_argument(
        '--device',
        help='torch device, e.g. cuda:0 or cpu (default: a GPU if available)',
    )
    parser.add_argument(
        '--batch-size', type=int, default=1, help='images per batch (default: 1)'
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace results of an earlier run in --out',
    )
    parser.add_argument(
        '--conformal',
        metavar='FILE',
        help='threshold file of python -m mcdrl_lab conformal; also write masks at '
        'this threshold to conformal/ and conformal.json',
    )
    parser.add_argument(
        '--presence',
        metavar='FILE',
        help='threshold file of python -m mcdrl_lab presence; also write masks to '
        'presence/ and presence.json that are empty where the network is less '
        'confident than the threshold',
    )
    parser.add_argument(
        '--max-pixels',
        type=int,
        help='largest image to read, in pixels (height x width; default: 89 million)',
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
