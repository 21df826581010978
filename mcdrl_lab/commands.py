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
    'data/convert': 'convert a public data set, or your own folders, to the common '
    'layout',
    'data/verify': 'list all problems of a data set, by file',
    'projects/new-project': 'write configs, a plan and a README for your hospitals',
    'simulation/simulate': 'generate EndoSim: simulated hospitals with known '
    'confounders',
    'simulation/crop-pairs': 'cut one crop with a lesion and one without from each '
    'image',
    'simulation/draw-conditions': 'draw conditions that correlate with lesions on '
    'real images',
    'pretraining/pretrain': 'train and test the built-in tiny CLIP',
    'pretraining/pretrain-endo': 'train the built-in CLIP of real endoscopy, or print '
    'its zero-shot table',
    'plans/leave-one-site-out': 'train and test methods with each site held out, for '
    'each seed',
    'plans/ablation': 'train and test the variants of an ablation plan (YAML)',
    'plans/plan-status': 'show the state of the runs of a plan on Slurm, and why runs '
    'failed',
    'plans/plan-collect': 'collect the records of a plan on Slurm, and write its '
    'tables',
    'plans/plan-merge': 'merge the records of plans that were run separately',
    'results/references': 'score a constant mask and a centre prior at each held-out '
    'site',
    'results/calibrate': 'calibrate the lesion probability of a checkpoint',
    'results/compare': 'compare one method with others, paired by image and seed',
    'results/conformal': 'choose a threshold that bounds the expected missed share at '
    'a new site',
    'results/presence': 'choose the confidence below which masks are left empty',
    'results/report': 'write an HTML report of a plan or a training run',
    'results/evidence': 'store records of plans, and write the tables of '
    'docs/evidence*.md',
    'results/plot-run': 'plot losses, gate, learning rate and validation of training '
    'runs',
    'trust/site-check': 'compare images of a new hospital, without masks, with the '
    'training sites',
    'trust/site-reference': 'add the statistics that site-check needs to a checkpoint '
    'without them',
    'trust/endosim-drift': 'test whether site-check names the conditions that truly '
    'differ',
    'trust/held-out-trust': 'test coverage, calibration and failure flags at held-out '
    'sites',
    'results/embedding': 'draw t-SNE maps of features before and after the '
    'intervention',
    'results/selection': 'measure how much of the lesions the region selection keeps',
    'results/invariance': 'measure how far predictions depend on confounders, on '
    'paired scenes',
    'benchmarks/benchmark': 'measure latency, FLOPs, memory and the share of each part',
    'benchmarks/latency': 'time the variants of a plan (ms), and count their '
    'parameters',
    'benchmarks/command-cost': 'measure time and memory of a command and all its child '
    'processes',
    'benchmarks/plain-loop': 'train a plain loop on real sites, or time the trainer '
    'against it',
    'benchmarks/speed-goals': 'measure speed and memory against an earlier commit, in '
    'one table',
    'benchmarks/scaling': 'time training steps on one and on several processes',
    'benchmarks/communication': 'calculate how long the gradients of a step travel '
    'between GPUs',
    'benchmarks/clip-architectures': 'list which open_clip architectures can be used, '
    'and how',
    'benchmarks/compare-exported': 'compare Dice and time of exported files with their '
    'model',
    'stock_models/sweep-stock': 'try every model of MMSegmentation with MCDRL, and '
    'write the table',
    'serving/serve': 'serve a local web page to try a model on images',
    'demo/demo': 'run a complete example: data, training, test, report',
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
        description='Tools for experiments with MCDRL: data, training plans, '
        'statistics, reports, benchmarks.',
        epilog='"python -m mcdrl_lab COMMAND --help" shows the options of a command.'
        '\n\ncommands:\n'
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
