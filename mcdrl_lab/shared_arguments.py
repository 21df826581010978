"""Arguments that several commands take alike."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any


class CfgOptions(argparse.Action):
    """MMEngine's ``DictAction``, imported when the option is given and not before."""

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


def add_cfg_options(parser: argparse.ArgumentParser, **changes: Any) -> None:
    """Add ``--cfg-options``, which overrides entries of a config.

    Args:
        parser: The command's parser.
        **changes: To the keywords of ``add_argument``.
    """
    keywords = dict(
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='override entries of the config, as for train.py',
    )
    parser.add_argument('--cfg-options', **{**keywords, **changes})


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """Add ``--metrics``, the names of what tables show.

    Args:
        parser: The command's parser.
    """
    from mcdrl_lab.results.image_metrics import REPORT_METRICS

    parser.add_argument(
        '--metrics',
        nargs='+',
        default=REPORT_METRICS,
        metavar='METRIC',
        help=f'metrics to tabulate (default: {" ".join(REPORT_METRICS)})',
    )
