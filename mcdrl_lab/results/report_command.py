"""Write everything about an evaluation into one HTML file.

It shows results with intervals, box plots, training curves, cases with overlays,
attention to the confounders, data, versions and commands. The file needs no network and
no other file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import errors_in_one_line
from mcdrl_lab.shared_arguments import add_device, add_overwrite, file_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab report work_dirs/leave_one_site_out --out '
        'report.html'
    )
    parser.add_argument(
        'source',
        metavar='RECORDS|WORK_DIR',
        type=Path,
        help='records.jsonl, the folder of a plan, or the work folder of one training',
    )
    parser.add_argument(
        '--out',
        type=file_name('.html', '.htm'),
        help='HTML file (default: report.html beside the records)',
    )
    add_overwrite(parser)
    parser.add_argument(
        '--method', help='whose cases and attention to show (default: the last one)'
    )
    parser.add_argument(
        '--checkpoint', help="draw with this one (default: each run's own best_*.pth)"
    )
    parser.add_argument(
        '--config', help="config to draw with (default: each run's own)"
    )
    parser.add_argument(
        '--data-root', help="folder of the images, where it is not the config's"
    )
    add_device(parser)
    parser.add_argument(
        '--profile-images',
        type=int,
        default=60,
        help='images of each site that the attention is taken from (default: 60)',
    )
    parser.add_argument(
        '--no-pictures', action='store_true', help='run no model; tables and plots only'
    )
    parser.add_argument(
        '--explanations',
        action='store_true',
        help='show below each case the similarity, the regions kept, the change and '
        'the attention to each confounder (about half a MB a case)',
    )
    parser.add_argument('--title', help='of the page')


@errors_in_one_line(ValueError, OSError)
def run(args: argparse.Namespace) -> None:
    """Write the page."""
    from .html_report.report_page import ReportOptions, write_page

    options = ReportOptions(
        method=args.method,
        checkpoint=args.checkpoint,
        config=args.config,
        data_root=args.data_root,
        device=args.device,
        profile_images=args.profile_images,
        pictures=not args.no_pictures,
        explanations=args.explanations,
        title=args.title,
    )
    print(write_page(args.source, args.out, options, args.overwrite))
