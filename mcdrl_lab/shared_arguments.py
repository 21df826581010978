"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mcdrl_common.training_arguments import key_and_value

CHECKPOINTS = ('.pth', '.pt')


class CfgOptions(argparse.Action):
    """MMEngine's ``DictAction``, imported only when the option is given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Put a dict of dotted keys and values into the namespace."""
        from mmengine.config import DictAction

        action = DictAction(self.option_strings, self.dest, nargs=self.nargs)
        action(parser, namespace, values, option_string)


def file_name(*endings: str) -> Callable[[str], Path]:
    """Type of an argument that names a file to write, whose format is fixed.

    Args:
        *endings: Allowed endings of the name, as ``'.csv'``.
    """

    def read(text: str) -> Path:
        if not text.lower().endswith(endings):
            raise argparse.ArgumentTypeError(
                f'{text!r}: the name must end in {" or ".join(endings)}, the format of '
                'the file.'
            )
        return Path(text)

    return read


def add_cfg_options(parser: argparse.ArgumentParser, **changes: Any) -> None:
    """Add ``--cfg-options``, which overrides entries of a config.

    Args:
        parser: The command's parser.
        **changes: Keywords of ``add_argument`` to override.
    """
    keywords = dict(
        nargs='+',
        action=CfgOptions,
        type=key_and_value,
        metavar='KEY=VALUE',
        help='override entries of the config, as for tools/train.py',
    )
    parser.add_argument('--cfg-options', **{**keywords, **changes})


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, the device of the network; None takes a GPU if there is one."""
    parser.add_argument(
        '--device',
        help='torch device, e.g. cuda:0 or cpu (default: a GPU if available)',
    )


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite``, for a command that needs it only for other results.

    Without it the command replaces its own results of the same inputs.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='also replace existing results that were made from other inputs or '
        'settings',
    )


def add_records(parser: argparse.ArgumentParser) -> None:
    """Add ``records``, the records of a plan."""
    parser.add_argument(
        'records',
        type=Path,
        help='records.jsonl of a plan, or the folder that contains it',
    )


def add_method(parser: argparse.ArgumentParser) -> None:
    """Add ``--method``, the method whose records to use; None takes the only one."""
    parser.add_argument(
        '--method', help='method to use; required if the records contain several'
    )


def add_plan_file(parser: argparse.ArgumentParser) -> None:
    """Add ``plan``, an ablation plan, and the options for reading it."""
    parser.add_argument('plan', type=Path, help='ablation plan (YAML)')
    parser.add_argument(
        '--config', help='config to use instead of the one named in the plan'
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='allow any config, type and import in the plan; these can run code',
    )


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """Add ``--metrics``, the names of the metrics in tables."""
    from mcdrl_lab.results.image_metrics import REPORT_METRICS

    parser.add_argument(
        '--metrics',
        nargs='+',
        default=REPORT_METRICS,
        metavar='METRIC',
        help=f'metrics to tabulate (default: {" ".join(REPORT_METRICS)})',
    )
