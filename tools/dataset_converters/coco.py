"""Convert images with COCO-style JSON annotations to the common layout."""

import argparse
import sys

from mcdrl_lab.data.converters.convert_command import (
    add_group_arguments,
    base_parser,
    group_rules,
    run,
)
from mcdrl_lab.data.converters.sources.coco import CocoSource


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = base_parser(
        f'{__doc__} Polygons and run lengths become masks; images without outlines '
        'are free of lesions.',
        'python tools/dataset_converters/coco.py export.zip --site my_clinic '
        '--annotations train.json val.json --out data/sites',
    )
    parser.add_argument('--site', required=True, help='name for the site')
    parser.add_argument(
        '--annotations',
        nargs='+',
        default=[],
        metavar='FILE',
        help='annotation files inside the input (default: the only JSON file)',
    )
    parser.add_argument(
        '--images',
        default='',
        metavar='FOLDER',
        help='look for images in this folder only (default: everywhere)',
    )
    parser.add_argument(
        '--categories',
        nargs='+',
        default=[],
        metavar='NAME',
        help='lesion classes, in the order of their indices (default: all outlined)',
    )
    add_group_arguments(parser)
    return parser


def make_source(args: argparse.Namespace) -> CocoSource:
    """Describe the data that the command line names."""
    return CocoSource(
        title=f'{args.site} (COCO-style JSON)',
        url='your own',
        licence='your own',
        layout='a COCO-style JSON file and the images it lists.',
        checked='Your own data: images and outlines as the JSON files list them.',
        site=args.site,
        annotations=tuple(args.annotations),
        images=args.images,
        categories=tuple(args.categories),
        **group_rules(args),
    )


if __name__ == '__main__':
    sys.exit(run(make_source, make_parser()))
