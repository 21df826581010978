"""Explain a segmentation: kept regions, confounders, effect of the intervention."""

import argparse
import sys
from functools import partial

import mcdrl_common.quiet_tools  # noqa: F401  (before what it silences)
from mcdrl_common.folder_argument import folder_name


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Writes one page, NAME.png, and NAME.json for each '
        'image. Exit code: 0 if all images were processed, 1 if some were skipped '
        '(they are listed), 2 if nothing could be done.',
        epilog='Example: python tools/explain.py best.pth image.jpg --out out '
        '--truth mask.png',
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'image', nargs='+', help='images, folders, glob patterns or DICOM files'
    )
    parser.add_argument(
        '--out', type=folder_name, required=True, help='folder for the results'
    )
    parser.add_argument(
        '--truth',
        help='mask of the image, or folder of masks with the names of the images. '
        'Values are 0 and 255, or class indices, where 255 is ignored',
    )
    parser.add_argument(
        '--config', help='config file (default: the one stored in the checkpoint)'
    )
    parser.add_argument(
        '--device',
        help='torch device, e.g. cuda:0 or cpu (default: a GPU if available)',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace results of an earlier run in --out',
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
    from mcdrl_lab.simulation.truth import true_confounders
    from mcdrl_mmseg.apis.tool_commands import explain, run_tool

    return run_tool(
        'explain', partial(explain, true_confounders=true_confounders), args
    )


if __name__ == '__main__':
    sys.exit(main())
