"""The commands of ``python -m mcdrl_lab``. Each is imported only when it is called.

Command ``NAME`` is the module ``NAME_command`` of one of the lab's packages. It has a
docstring, ``add_arguments(parser)`` and ``run(args)``, which returns an exit code, or
None for 0. At the top it imports only what ``--help`` needs: what takes time to
import is imported in ``run``.
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
    """A command of the lab.

    Attributes:
        module: Full name of its module.
        summary: One line for the list of commands.
    """

    module: str
    summary: str


_SUMMARIES = {
    # In the order of an experiment.
    'data/convert': 'a public data set, or your own folders, into the common layout',
    'data/verify': 'everything wrong with a data set, by file',
    'projects/new-project': 'configs, a plan and the next commands for your hospitals',
    'simulation/simulate': 'EndoSim: simulated hospitals with known confounders',
    'simulation/crop-pairs': 'of each image a crop with a lesion and one without',
    'simulation/draw-conditions': 'imaging conditions on real images, that go with '
    'lesions at training sites',
    'pretraining/pretrain': 'train and test the built-in tiny CLIP',
    'pretraining/pretrain-endo': 'train the built-in CLIP of real endoscopy, or print '
    'its zero-shot table',
    'plans/leave-one-site-out': 'every method on every held-out site, every seed',
    'plans/ablation': 'the variants of a plan, a YAML file',
    'plans/plan-status': 'what of a plan on Slurm is queued, running, done, failed, '
    'and why',
    'plans/plan-collect': 'gather the records of a plan on Slurm, and write its tables',
    'plans/plan-merge': 'join the records of plans that were run apart',
    'results/references': 'a constant mask and a centre prior, at every held-out site',
    'results/calibrate': 'fit how sure the lesion probability of a checkpoint may be',
    'results/compare': 'one method with others, paired by image and seed',
    'results/conformal': 'a threshold that bounds what is missed at a new site',
    'results/presence': 'a confidence below which masks are left empty',
    'results/report': 'one HTML page of a plan or a run',
    'results/evidence': 'write the tables of docs/evidence*.md from records',
    'results/plot-run': 'losses, gate, rate and validation of runs',
    'trust/site-check': "a new hospital's images, without masks, against the training "
    'sites',
    'trust/site-reference': 'add what site-check needs to a checkpoint without it',
    'trust/endosim-drift': 'whether site-check names the conditions that truly differ',
    'trust/held-out-trust': 'coverage, calibration and flags of failures at held-out '
    'sites',
    'results/embedding': 't-SNE of features before and after, linear probes',
    'results/selection': 'how much of the lesions the region selection keeps',
    'results/invariance': 'predictions of one scene under two conditions',
    'benchmarks/benchmark': 'latency, FLOPs, memory, share of each part',
    'benchmarks/latency': 'milliseconds and parameters of the variants of a plan',
    'benchmarks/command-cost': 'time and memory of a command with all processes that '
    'it starts',
    'benchmarks/plain-loop': 'a plain training loop on real sites, and the trainer '
    'beside it',
    'benchmarks/speed-goals': 'the goals of speed and memory beside an earlier commit, '
    'in one table',
    'benchmarks/scaling': 'a training step on one and on several processes',
    'benchmarks/communication': 'what processes send each other in a step',
    'benchmarks/clip-architectures': "which of open_clip's architectures can be used, "
    'and how',
    'benchmarks/compare-exported': 'time and Dice of exported files',
    'stock_models/sweep-stock': 'every stock model of MMSegmentation with MCDRL, and '
    'its table',
    'serving/serve': 'a local web page for a model',
    'demo/demo': 'the whole method in one command',
}
"""``PACKAGE/NAME`` of each command -> its line in the list of commands."""

COMMANDS: dict[str, Command] = {
    name: Command(f'mcdrl_lab.{room}.{name.replace("-", "_")}_command', summary)
    for path, summary in _SUMMARIES.items()
    for room, name in [path.split('/')]
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
            # Flush here, where a closed pipe can be handled, not at interpreter exit.
            print(end='', flush=True)
    except BrokenPipeError:
        if not _is_unread():
            raise
        # The reader closed the pipe, as `| head` does. Without this, Python would
        # report another error when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NOT_READ


def _is_unread() -> bool:
    """Whether standard output is a pipe that its reader has closed."""
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
        # Commands that can resume catch this themselves and say so.
        print(f'{name}: stopped.', file=sys.stderr)
        return EXIT_STOPPED
    except ModuleNotFoundError as error:
        message = missing_package_message(error)
        if message is None:
            raise
        print(f'{name}: {message}', file=sys.stderr)
        return 2
    except OSError as error:
        # Such as a full or read-only disk, or a folder without permission.
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


def _run(name: str, arguments: Sequence[str]) -> int:
    args = make_parser(name).parse_args(arguments)
    command = importlib.import_module(COMMANDS[name].module)

    @errors_in_one_line()
    def run(args: argparse.Namespace) -> int | None:
        if getattr(args, 'out', None) is not None:
            check_place(args.out)
        return command.run(args)

    return run(args) or 0
