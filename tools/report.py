"""Write everything about an evaluation into one HTML file."""

import argparse
import sys
from pathlib import Path

from mcdrl_lab.results.html_report.report_page import ReportOptions, write_page
from mcdrl_mmseg.apis.commands import USER_ERRORS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Results with intervals, box plots, training curves, '
        'cases with overlays, attention to the confounders, data, versions, commands. '
        'The file needs no network and no other file.',
        epilog='Example: python tools/report.py work_dirs/leave_one_site_out --out '
        'report.html',
    )
    parser.add_argument(
        'source',
        metavar='RECORDS|WORK_DIR',
        type=Path,
        help='records.jsonl, the folder of a plan, or the work folder of one training',
    )
    parser.add_argument(
        '--out', type=Path, help='HTML file (default: report.html beside the records)'
    )
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
    parser.add_argument('--device', help='as cuda:0 or cpu; by default a GPU if any')
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
    return parser.parse_args()


def main() -> int:
    args = parse_args()
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
    try:
        print(write_page(args.source, args.out, options))
    except (*USER_ERRORS, OSError) as error:
        print(f'report: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
