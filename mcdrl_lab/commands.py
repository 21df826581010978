"""The commands of ``python -m mcdrl_lab``: where each lies, imported when it is called.

A command is a module with a docstring, ``add_arguments(parser)`` and ``run(args)``.
Its module imports nothing that a ``--help`` does not need: what takes time to import
is imported in ``run``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from mcdrl_common.written_files import check_place
from mcdrl_lab.extras import missing_package_message

from .errors import EXIT_NOT_READ, EXIT_STOPPED, errors_in_one_line


class Command(NamedTuple):
    """Where a command lies.

    Attributes:
        module: Module with ``add_arguments(parser)`` and ``run(args)``, which returns
            an exit code, or None for 0.
        summary: One line for the list of commands.
    """

    module: str
    summary: str


COMMANDS: dict[str, Command] = {
    # In the order of an experiment.
    'convert': Command(
        'mcdrl_lab.data.convert_command',
        'a public data set, or your own folders, into the common layout',
    ),
    'verify': Command(
        'mcdrl_lab.data.verify_command',
        'everything wrong with a data set, by file',
    ),
    'new-project': Command(
        'mcdrl_lab.projects.new_project_command',
        'configs, a plan and the next commands for your hospitals',
    ),
    'simulate': Command(
        'mcdrl_lab.simulation.simulate_command',
        'EndoSim: simulated hospitals with known confounders',
    ),
    'crop-pairs': Command(
        'mcdrl_lab.simulation.crop_pairs_command',
        'of each image a crop with a lesion and one without',
    ),
    'draw-conditions': Command(
        'mcdrl_lab.simulation.draw_conditions_command',
        'imaging conditions on real images, that go with lesions at training sites',
    ),
    'pretrain': Command(
        'mcdrl_lab.pretraining.pretrain_command',
        'train and test the built-in tiny CLIP',
    ),
    'pretrain-endo': Command(
        'mcdrl_lab.pretraining.endo_command',
        'train the built-in CLIP of real endoscopy, or print its zero-shot table',
    ),
    'leave-one-site-out': Command(
        'mcdrl_lab.plans.leave_one_site_out_command',
        'every method on every held-out site, every seed',
    ),
    'ablation': Command(
        'mcdrl_lab.plans.ablation_command',
        'the variants of a plan, a YAML file',
    ),
    'plan-status': Command(
        'mcdrl_lab.plans.status_command',
        'what of a plan on Slurm is queued, running, done, failed, and why',
    ),
    'plan-collect': Command(
        'mcdrl_lab.plans.collect_command',
        'gather the records of a plan on Slurm, and write its tables',
    ),
    'plan-merge': Command(
        'mcdrl_lab.plans.merge_command',
        'join the records of plans that were run apart',
    ),
    'references': Command(
        'mcdrl_lab.results.references_command',
        'a constant mask and a centre prior, at every held-out site',
    ),
    'calibrate': Command(
        'mcdrl_lab.results.calibrate_command',
        'fit how sure the lesion probability of a checkpoint may be',
    ),
    'compare': Command(
        'mcdrl_lab.results.compare_command',
        'one method with others, paired by image and seed',
    ),
    'conformal': Command(
        'mcdrl_lab.results.conformal_command',
        'a threshold that bounds what is missed at a new site',
    ),
    'presence': Command(
        'mcdrl_lab.results.presence_command',
        'a confidence below which masks are left empty',
    ),
    'report': Command(
        'mcdrl_lab.results.report_command',
        'one HTML page of a plan or a run',
    ),
    'evidence': Command(
        'mcdrl_lab.results.evidence_command',
        'write the tables of docs/evidence*.md from records',
    ),
    'plot-run': Command(
        'mcdrl_lab.results.plot_run_command',
        'losses, gate, rate and validation of runs',
    ),
    'site-check': Command(
        'mcdrl_lab.trust.site_check_command',
        "a new hospital's images, without masks, against the training sites",
    ),
    'site-reference': Command(
        'mcdrl_lab.trust.site_reference_command',
        'add what site-check needs to a checkpoint without it',
    ),
    'endosim-drift': Command(
        'mcdrl_lab.trust.endosim_drift_command',
        'whether site-check names the conditions that truly differ',
    ),
    'held-out-trust': Command(
        'mcdrl_lab.trust.held_out_trust_command',
        'coverage, calibration and flags of failures at held-out sites',
    ),
    'embedding': Command(
        'mcdrl_lab.results.embedding_command',
        't-SNE of features before and after, linear probes',
    ),
    'selection': Command(
        'mcdrl_lab.results.selection_command',
        'how much of the lesions the region selection keeps',
    ),
    'invariance': Command(
        'mcdrl_lab.results.invariance_command',
        'predictions of one scene under two conditions',
    ),
    'benchmark': Command(
        'mcdrl_lab.benchmarks.benchmark_command',
        'latency, FLOPs, memory, share of each part',
    ),
    'latency': Command(
        'mcdrl_lab.benchmarks.latency_command',
        'milliseconds and parameters of the variants of a plan',
    ),
    'command-cost': Command(
        'mcdrl_lab.benchmarks.command_cost_command',
        'time and memory of a command with all processes that it starts',
    ),
    'plain-loop': Command(
        'mcdrl_lab.benchmarks.plain_loop_command',
        'a plain training loop on real sites, and the trainer beside it',
    ),
    'speed-goals': Command(
        'mcdrl_lab.benchmarks.speed_goals_command',
        'the goals of speed and memory beside an earlier commit, in one table',
    ),
    'scaling': Command(
        'mcdrl_lab.benchmarks.scaling_command',
        'a training step on one and on several processes',
    ),
    'communication': Command(
        'mcdrl_lab.benchmarks.communication_command',
        'what processes send each other in a step',
    ),
    'clip-architectures': Command(
        'mcdrl_lab.benchmarks.clip_architectures_command',
        "which of open_clip's architectures can be used, and how",
    ),
    'compare-exported': Command(
        'mcdrl_lab.benchmarks.compare_exported_command',
        'time and Dice of exported files',
    ),
    'sweep-stock': Command(
        'mcdrl_lab.stock_models.sweep_command',
        'every stock model of MMSegmentation with MCDRL, and its table',
    ),
    'serve': Command(
        'mcdrl_lab.serving.serve_command',
        'a local web page for a model',
    ),
    'demo': Command(
        'mcdrl_lab.demo.demo_command',
        'the whole method in one command',
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Its name and arguments; by default those of this process.

    Returns:
        The exit code.
    """
    try:
        try:
            return _main(argv)
        finally:
            # What is held back still finds nobody who reads it at the very end.
            print(end='', flush=True)
    except BrokenPipeError:
        if not _is_unread():
            raise
        # As `| head` does: whoever read has seen enough. Else Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NOT_READ


def _is_unread() -> bool:
    """Whether nobody reads what is printed any more."""
    try:
        print(flush=True)
    except BrokenPipeError:
        return True
    return False


def _main(argv: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog='python -m mcdrl_lab',
        description='What surrounds an experiment with MCDRL.',
        epilog='python -m mcdrl_lab COMMAND --help says more.\n\ncommands:\n'
        + '\n'.join(f'  {name:<20} {c.summary}' for name, c in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('command', metavar='COMMAND', choices=list(COMMANDS))
    name = parser.parse_args(arguments[:1]).command
    try:
        return _run(name, arguments[1:])
    except KeyboardInterrupt:
        # What goes on from where it was stopped has said so itself.
        print(f'{name}: stopped.', file=sys.stderr)
        return EXIT_STOPPED
    except ModuleNotFoundError as error:
        message = missing_package_message(error)
        if message is None:
            raise
        print(f'{name}: {message}', file=sys.stderr)
        return 2
    except OSError as error:
        # A disk that is full or read-only, a folder that may not be entered.
        if error.filename is None:
            raise
        print(f'{name}: {error.filename}: {error.strerror}', file=sys.stderr)
        return 2


def make_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a command.

    Args:
        name: One of :data:`COMMANDS`.
    """
    module = importlib.import_module(COMMANDS[name].module)
    parser = argparse.ArgumentParser(
        prog=f'python -m mcdrl_lab {name}',
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return parser


@errors_in_one_line()
def _check_out(args: argparse.Namespace) -> None:
    if getattr(args, 'out', None) is not None:
        check_place(args.out)


def _run(name: str, arguments: Sequence[str]) -> int:
    args = make_parser(name).parse_args(arguments)
    command = importlib.import_module(COMMANDS[name].module)
    return _check_out(args) or command.run(args) or 0
