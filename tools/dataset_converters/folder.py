"""Convert a folder of images and a folder of masks to the common layout."""

import argparse
import sys

from mcdrl_lab.data.converters.convert_command import (
    add_group_arguments,
    base_parser,
    group_rules,
    run,
)
from mcdrl_lab.data.converters.sources.folder import (
    FolderOptions,
    FolderSource,
    folder_source,
)


def value_and_class(text: str) -> tuple[int, str]:
    """Parse VALUE=CLASS."""
    value, _, name = text.partition('=')
    if not (value.isdigit() and int(value) < 256 and name):
        raise argparse.ArgumentTypeError(
            f'{text!r}: expected VALUE=CLASS with a value of 0 to 255, as 1=polyp'
        )
    return int(value), name


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = base_parser(
        __doc__,
        'python tools/dataset_converters/folder.py my_clinic.zip --site my_clinic '
        '--masks annotations --mask-suffix _mask --class polyp --out data/sites',
    )
    parser.add_argument('--site', required=True, help='name for the site')
    parser.add_argument(
        '--images', default='images', help='folder of the images (default: %(default)s)'
    )
    parser.add_argument(
        '--masks', default='masks', help='folder of the masks (default: %(default)s)'
    )
    parser.add_argument(
        '--mask-suffix', default='', help='end of mask names, as _mask (default: none)'
    )
    meaning = parser.add_mutually_exclusive_group()
    meaning.add_argument(
        '--class',
        dest='lesion_class',
        default='lesion',
        help='lesion class of masks with 0 and 255 (default: %(default)s)',
    )
    meaning.add_argument(
        '--mask-values',
        nargs='+',
        type=value_and_class,
        default=[],
        metavar='VALUE=CLASS',
        help='for masks whose values stand for classes; background and ignore are '
        'classes too, and 0 is background',
    )
    add_group_arguments(parser)
    return parser


def make_source(args: argparse.Namespace) -> FolderSource:
    """Describe the folder that the command line names."""
    return folder_source(
        FolderOptions(
            site=args.site,
            images=args.images,
            masks=args.masks,
            mask_suffix=args.mask_suffix,
            lesion_class=args.lesion_class,
            mask_values=dict(args.mask_values),
            **group_rules(args),
        )
    )


if __name__ == '__main__':
    sys.exit(run(make_source, make_parser()))
