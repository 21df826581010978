"""Train and test one or several methods with every site held out in turn.

Folds and seeds are derived from one config per method. Finished runs are skipped,
interrupted runs resume.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import ProtocolError, ends_in_one_line

from .plan_arguments import add_plan_arguments
from .plan_command import run_plan, show_report

_YAML = ('.yml', '.yaml')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab leave-one-site-out '
        'baseline=configs/baselines/BASELINE.py '
        'mcdrl=configs/mcdrl/MCDRL.py --seeds 5 --jobs 2 --out '
        'work_dirs/loso'
    )
    parser.add_argument(
        'config',
        nargs='*',
        metavar='[NAME=]CONFIG',
        help='config of each method, with an optional name for the method',
    )
    parser.add_argument(
        '--tables-only',
        action='store_true',
        help='only rewrite tables and plots from the records in --out; run nothing',
    )
    add_plan_arguments(parser)


@ends_in_one_line
def run(args: argparse.Namespace) -> int:
    """Run or resume the plan.

    Returns:
        Exit code: 0, or 1 if a run failed.
    """
    out = args.out or Path('work_dirs/leave_one_site_out')
    if args.tables_only:
        show_report(out, args.metrics)
        return 0
    _check_that_no_option_took_a_config(args)
    if not args.config:
        raise ProtocolError('at least one config is needed, see --help.')
    from .plan import parse_method

    methods = [parse_method(text) for text in args.config]
    for method in methods:
        _check_that_it_is_no_plan(method.config)
    return run_plan(methods, args, out)


def _check_that_it_is_no_plan(config: str) -> None:
    """Refuse an ablation plan, which MMEngine would read as a config."""
    if Path(config).suffix.lower() not in _YAML:
        return
    from .ablation import is_plan

    if is_plan(config):
        raise ProtocolError(
            f'{config} is an ablation plan, not a config: run it with python -m '
            f'mcdrl_lab ablation {config}'
        )


def _check_that_no_option_took_a_config(args: argparse.Namespace) -> None:
    """Refuse configs that ended up as values of an option with several values."""
    named = [
        f'{key}={value}'
        for key, value in args.cfg_options.items()
        if '.' not in key and isinstance(value, str) and Path(value).is_file()
    ]
    for option, texts in (
        ('--sites', [text for text in args.sites or [] if text.endswith('.py')]),
        ('--cfg-options', [text for text in named if text.endswith('.py')]),
    ):
        if texts:
            raise ProtocolError(
                f'{option} took {" ".join(texts)}, which looks like a config to run: '
                f'put all configs before {option}.'
            )
