"""Export a trained model to a file that runs without this package and without CLIP."""

import argparse
import sys
from pathlib import Path

import mcdrl_common.quiet_tools  # noqa: F401  (before what it silences)

# The keys of mcdrl_mmseg.apis.export.formats.FORMATS, whose import takes long.
FORMATS = ('onnx', 'torchscript', 'torch-export')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} The outputs of file and model are compared first; if '
        'they differ, no file is written. ONNX needs: pip install '
        "'mcdrl-mmseg[export]'.",
        epilog='Example: python tools/export.py best.pth --format onnx --out best.onnx '
        '--image image.jpg',
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--config', help='config file (default: the one stored in the checkpoint)'
    )
    parser.add_argument(
        '--format', choices=FORMATS, default='onnx', help='file format (default: onnx)'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help="input height and width in pixels (default: the size of the checkpoint's "
        'test pipeline)',
    )
    parser.add_argument(
        '--dynamic',
        action='store_true',
        help='also accept other input sizes: multiples of 32, or of the patch size of '
        'a ViT',
    )
    parser.add_argument(
        '--int8',
        action='store_true',
        help='store the weights of matrix products as int8 (ONNX only)',
    )
    parser.add_argument('--out', type=Path, required=True, help='file to write')
    parser.add_argument(
        '--image',
        nargs='+',
        default=[],
        help='images to compare the file with the model on (default: one image of '
        'smooth noise)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace an existing file'
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
    from mcdrl_mmseg.apis.tool_commands import export, run_tool

    return run_tool('export', export, args)


if __name__ == '__main__':
    sys.exit(main())
