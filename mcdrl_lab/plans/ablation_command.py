"""Train and test the variants of an ablation plan, leaving one site out in turn.

Plans are YAML files; see configs/ablation_plans.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_lab.errors import ProtocolError, ends_in_one_line
from mcdrl_lab.shared_arguments import add_plan_file

from .plan_arguments import add_plan_arguments
from .plan_command import run_plan

if TYPE_CHECKING:
    from .plan import Method


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab ablation '
        'configs/ablation_plans/paper_modules.yml --seeds 3 --sites polypgen_c1 '
        'polypgen_c4'
    )
    add_plan_file(parser)
    parser.add_argument(
        '--variants',
        nargs='+',
        metavar='NAME',
        help='run only these variants of the plan (default: all)',
    )
    add_plan_arguments(parser)


@ends_in_one_line
def run(args: argparse.Namespace) -> int:
    """Run or resume the plan.

    Returns:
        Exit code: 0, or 1 if a run failed.
    """
    from .ablation import load_ablation

    methods = load_ablation(args.plan, args.config, args.trust)
    if args.variants:
        methods = _named(methods, args.variants)
    return run_plan(
        methods, args, args.out or Path('work_dirs/ablation', args.plan.stem)
    )


def _named(methods: Sequence[Method], names: Sequence[str]) -> list[Method]:
    """The variants of these names, in the plan's order."""
    known = [method.name for method in methods]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ProtocolError(f'--variants: unknown {unknown}; the plan has {known}.')
    return [method for method in methods if method.name in names]
