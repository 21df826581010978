"""The argument ``--cfg-options``, which overrides entries of a config."""

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
