"""Verify a data set before training, and list all its problems by file.

Exit code: 0 without problems, 1 with problems, 2 if the target cannot be verified. See
docs/datasets.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_lab.errors import ConversionError
from mcdrl_lab.shared_arguments import add_cfg_options

if TYPE_CHECKING:
    from mcdrl_common.verification.entry import Listing

EXIT_PROBLEMS = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab verify data/endoscopy_sites '
        '--fix data/endoscopy_sites_fixed'
    )
    parser.add_argument(
        'target', help='config file, or folder of sites as written by the converters'
    )
    parser.add_argument(
        '--fast', action='store_true', help='check file names only; read no files'
    )
    parser.add_argument(
        '--fix',
        type=Path,
        metavar='FOLDER',
        help='write a copy to this new folder: problems that can be corrected without '
        'loss are corrected, other files with problems are left out and listed',
    )
    parser.add_argument(
        '--allow',
        nargs='+',
        metavar='KIND',
        help="kinds of findings that do not count as problems, e.g. 'lesion-free "
        "site', in addition to those that default_hooks.dataset_check of the config "
        'allows',
    )
    parser.add_argument(
        '--json', action='store_true', help='print the report as JSON, with all files'
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        '--show',
        type=int,
        default=20,
        metavar='N',
        help='files to show per kind of finding (default: %(default)s)',
    )
    shown.add_argument('--all', action='store_true', help='show all files')
    parser.add_argument(
        '--jobs',
        type=int,
        help='number of processes that read files (default: all processors)',
    )
    parser.add_argument(
        '--no-cache',
        action='store_true',
        help='read every file, and do not use or write the cache',
    )
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> int:
    """Verify what the command line names.

    Returns:
        The exit code: 0 without problems, 1 with some, 2 where nothing can be verified.
    """
    from mcdrl_common.cache_dir import default_cache_dir
    from mcdrl_common.verification.verification_report import show
    from mcdrl_common.verification.verify import verify

    from .fixing import fix, summary

    if args.show < 0:
        raise ConversionError(f'--show {args.show}: expected 0 or more files.')
    cache = None if args.no_cache else default_cache_dir()
    listing, allowed = _listing(Path(args.target).expanduser(), args.cfg_options)
    allowed = [*allowed, *(args.allow or ())]
    report = verify(listing, not args.fast, cache, args.jobs, allowed)
    fixed = fix(listing, report, args.fix) if args.fix else None
    if args.json:
        content = report.to_json()
        if fixed is not None:
            content['fixed'] = fixed.to_json()
        print(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        show(report, None if args.all else args.show)
        if fixed is not None:
            print(summary(fixed))
    return EXIT_PROBLEMS if report.problems else 0


def _listing(target: Path, cfg_options: dict | None) -> tuple[Listing, list[str]]:
    """The data set to verify, and the kinds of findings that its config allows."""
    from mcdrl_common.verification.listing import VerificationError, list_folder

    if target.is_dir():
        if cfg_options:
            raise VerificationError('--cfg-options goes with a config, not a folder.')
        return list_folder(target), []
    if not target.is_file():
        raise VerificationError(
            f'{target} does not exist: expected a folder of sites or a config file.'
        )
    # Only a config needs MMSegmentation, whose classes it names.
    import mcdrl_mmseg  # noqa: F401  (registers the components)
    from mcdrl_mmseg.apis.run_setup import load_config
    from mcdrl_mmseg.datasets.config_listing import list_config

    try:
        cfg = load_config(str(target), cfg_options)
    except Exception as error:
        # A config is a program: anything may go wrong in it.
        raise VerificationError(
            f'{target} is neither a folder nor a config that can be loaded: '
            f'{type(error).__name__}: {error}'
        ) from error
    hook = (cfg.get('default_hooks') or {}).get('dataset_check') or {}
    return list_config(cfg), list(hook.get('allow') or ())
