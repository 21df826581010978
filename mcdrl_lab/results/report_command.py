"""Write a report of an evaluation as a single HTML file.

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
        '--method',
        help='method whose cases and attention are shown (default: the last one)',
    )
    parser.add_argument(
        '--checkpoint',
        help="checkpoint to draw the cases with (default: each run's own best_*.pth)",
    )
    parser.add_argument(
        '--config', help="config to draw the cases with (default: each run's own)"
    )
    parser.add_argument(
        '--data-root', help='folder of the images (default: as in the config)'
    )
    add_device(parser)
    parser.add_argument(
        '--profile-images',
        type=int,
        default=60,
        help='images per site to compute the attention on (default: 60)',
    )
    parser.add_argument(
        '--no-pictures',
        action='store_true',
        help='do not run a model; write tables and plots only',
    )
    parser.add_argument(
        '--explanations',
        action='store_true',
        help='also show below each case the similarity, the kept regions, the change '
        'and the attention to each confounder (about 0.5 MB per case)',
    )
    parser.add_argument('--title', help='title of the page')


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
