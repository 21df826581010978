"""What tools/verify_dataset.py runs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mcdrl_common.verification.entry import Listing
from mcdrl_common.verification.listing import (
    VerificationError,
    list_folder,
)
from mcdrl_common.verification.verification_report import show
from mcdrl_common.verification.verify import verify
from mcdrl_mmseg.apis.launch import load_config
from mcdrl_mmseg.clip.embedding_cache import default_cache_dir
from mcdrl_mmseg.datasets.config_listing import list_config

from .fixing import FixError, fix, tell

EXIT_PROBLEMS = 1
EXIT_UNUSABLE = 2


def run(args: argparse.Namespace) -> int:
    """Run tools/verify_dataset.py.

    Args:
        args: Its arguments.

    Returns:
        The exit code: 0 without problems, 1 with some, 2 where nothing can be verified.
    """
    cache = None if args.no_cache else default_cache_dir()
    try:
        listing = _listing(args)
        report = verify(listing, not args.fast, cache, args.jobs, args.allow or ())
        fixed = fix(listing, report, args.fix) if args.fix else None
    except (VerificationError, FixError) as error:
        print(f'error: {error}', file=sys.stderr)
        return EXIT_UNUSABLE
    if args.json:
        content = report.to_json()
        if fixed is not None:
            content['fixed'] = fixed.to_json()
        print(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        show(report, None if args.all else args.show)
        if fixed is not None:
            print(tell(fixed))
    return EXIT_PROBLEMS if report.problems else 0


def _listing(args: argparse.Namespace) -> Listing:
    target = Path(args.target).expanduser()
    if target.is_dir():
        if args.cfg_options:
            raise VerificationError('--cfg-options goes with a config, not a folder.')
        return list_folder(target)
    try:
        cfg = load_config(str(target), args.cfg_options)
    except Exception as error:
        # A config is a program: anything may go wrong in it.
        raise VerificationError(
            f'{target} is neither a folder nor a config that can be loaded: '
            f'{type(error).__name__}: {error}'
        ) from error
    return list_config(cfg)
