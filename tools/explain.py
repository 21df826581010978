"""Show what MCDRL saw in an image, which conditions it met, and what changed."""

import argparse
import sys
from functools import partial

import mcdrl_common.quiet_tools  # noqa: F401  (before what it silences)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Writes NAME.png, one page, and NAME.json for each '
        'image. The exit code is 0 if all went well, 1 if images were skipped, which '
        'are then named, and 2 if nothing could be done.',
        epilog='Example: python tools/explain.py best.pth image.jpg --out out '
        '--truth mask.png',
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('image', nargs='+', help='image, folder, pattern or DICOM file')
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument(
        '--truth',
        help='mask of the one image, or a folder of masks named like the images: 0 and '
        '255, or class numbers, of which 255 is left out',
    )
    parser.add_argument(
        '--config', help='config file; by default the one in the checkpoint is used'
    )
    parser.add_argument('--device', help='as cuda:0 or cpu; by default a GPU if any')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace results of an earlier run'
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
    from mcdrl_lab.simulation.truth import true_confounders
    from mcdrl_mmseg.apis.tool_commands import explain, run_tool

    return run_tool(
        'explain', partial(explain, true_confounders=true_confounders), args
    )


if __name__ == '__main__':
    sys.exit(main())
