"""Shared code of the commands that run plans."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_lab.errors import ProtocolError

from .slurm_options import slurm_parameters

if TYPE_CHECKING:
    from .plan import Method, PlannedRun
    from .plan_engine import PlanEngine
    from .prepared import PreparedRun

EXIT_FAILED_RUNS = 1


def run_plan(methods: Sequence[Method], args: argparse.Namespace, out: Path) -> int:
    """Run or resume a plan, then write its tables and plots.

    Args:
        methods: The methods, which are the rows of the tables.
        args: Arguments of :func:`~mcdrl_lab.plans.plan_arguments.add_plan_arguments`.
        out: Folder of the plan.

    Returns:
        Exit code: 0, or 1 if a run failed.

    Raises:
        ProtocolError: The plan cannot be run as it is.
    """
    from .borrowed_imports import call_with_imports
    from .executor import PlanExecutor, run_environment
    from .launch import Launch

    _check_options(args)
    if args.dry_run:
        print(*_planned_runs(methods, args), sep='\n')
        return 0
    if args.feature_cache is not None:
        # Every run and every Slurm job inherits it.
        os.environ['MCDRL_FEATURE_CACHE'] = os.path.abspath(args.feature_cache)
    if args.half_features:
        os.environ['MCDRL_FEATURE_CACHE_PRECISION'] = 'float16'
    launch = Launch(args.launcher, args.processes)
    plan = call_with_imports(
        _prepared_plan,
        methods,
        args,
        preload=launch.preload,
        environment=run_environment(args.jobs),
    )
    engine: PlanEngine
    if args.engine == 'slurm':
        from .slurm_engine import SlurmEngine

        engine = SlurmEngine(
            plan,
            out,
            launch,
            slurm_parameters(args.slurm),
            jobs=args.jobs,
            keep_checkpoints=args.keep_checkpoints,
        )
    else:
        engine = PlanExecutor(
            plan,
            out,
            launch,
            jobs=args.jobs,
            devices=[name for name in args.devices.split(',') if name],
            keep_checkpoints=args.keep_checkpoints,
            max_hours=args.max_hours,
            meanwhile=_import_report,
        )
    failures = engine.execute()
    for failure in failures:
        print(f'FAILED {failure.run}: {failure.error}', file=sys.stderr)
    if len(failures) < len(plan):
        show_report(out, args.metrics)
    if failures:
        print(
            f'{len(failures)} of {len(plan)} runs failed; run the same command again '
            'to retry them.',
            file=sys.stderr,
        )
        return EXIT_FAILED_RUNS
    return 0


def _import_report() -> None:
    """Import the modules of tables and plots ahead of time; it takes a second."""
    # A missing package must not stop the runs; the report names it later.
    with contextlib.suppress(ImportError):
        import matplotlib.backends.backend_agg
        import matplotlib.backends.backend_pdf  # noqa: F401

        import mcdrl_lab.results.plan_tables  # noqa: F401


def _check_options(args: argparse.Namespace) -> None:
    """Refuse invalid combinations of options, before the slow imports."""
    parse_seeds(args.seeds)
    if args.engine == 'slurm' and args.devices:
        raise ProtocolError(
            '--devices: with --engine slurm, request GPUs with --slurm gres=.'
        )
    if args.engine == 'slurm' and args.max_hours is not None:
        raise ProtocolError(
            '--max-hours: with --engine slurm, set the limit with --slurm time=.'
        )
    if args.engine == 'local' and args.slurm:
        raise ProtocolError('--slurm needs --engine slurm.')
    if args.half_features and args.feature_cache is None:
        raise ProtocolError(
            '--half-features: choose the folder of the features with --feature-cache.'
        )


def _prepared_plan(
    methods: Sequence[Method], args: argparse.Namespace
) -> list[PreparedRun]:
    """The plan's runs, ready to start."""
    from .prepared import prepare

    return prepare(_planned_runs(methods, args), args.processes)


def _planned_runs(
    methods: Sequence[Method], args: argparse.Namespace
) -> list[PlannedRun]:
    """The runs that the arguments ask for."""
    from .folds import site_names
    from .plan import build_plan
    from .prepared import load_method

    seeds = parse_seeds(args.seeds)
    options = args.cfg_options
    methods = [replace(m, cfg_options={**m.cfg_options, **options}) for m in methods]
    # Deriving the folds checks that the other configs have these sites as well.
    known = site_names(load_method(methods[0]))
    # Drop repeated sites.
    sites = list(dict.fromkeys(args.sites or known))
    unknown = sorted(set(sites) - set(known))
    if unknown:
        raise ProtocolError(f'--sites: unknown {unknown}; the config has {known}.')
    selection = 'oracle' if args.oracle else 'validation'
    return build_plan(methods, sites, seeds, selection)


def parse_seeds(text: str) -> range:
    """Read ``--seeds``.

    Args:
        text: A number of seeds, as ``5``, or the first and the last one, as ``3-5``.

    Raises:
        ProtocolError: The text has neither form, or gives no seed.
    """
    match = re.fullmatch(r'(\d+)(?:-(\d+))?', str(text))
    seeds = range(0)
    if match:
        first, last = match.groups()
        seeds = range(int(first)) if last is None else range(int(first), int(last) + 1)
    if not seeds:
        raise ProtocolError(
            f'--seeds {text}: expected the number of seeds, such as 5, or the first '
            'and the last seed, such as 3-5; at least one seed is needed.'
        )
    return seeds


def show_report(out: Path, metrics: Sequence[str]) -> None:
    """Write tables and plots from the records in a folder, and print the first table.

    Args:
        out: Folder of the plan.
        metrics: Names of metrics.
    """
    from mcdrl_lab.results.plan_records import load_records
    from mcdrl_lab.results.plan_tables import write_report

    files = write_report(load_records(out), out, metrics)
    if files:
        print(f'\n{files[0].read_text(encoding="utf-8")}')
    print(f'Tables and plots are in {out}.')
