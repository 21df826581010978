"""Warnings of other packages that nobody can act on, silenced in our tools."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

_QUIET = 'MCDRL_QUIET'
# Starts of warnings, as regular expressions.
_WARNINGS = (
    # mmcv-lite has no such operator, and nothing here uses it.
    'Fail to import ``MultiScaleDeformableAttention``',
    # Two ways of mmseg to write the same head and the same loss.
    'For binary segmentation, we suggest using',
    'Default ``avg_non_ignore`` is False',
    'The draw is False, it means that the hook for visualization',
)


@contextmanager
def quiet_if_asked() -> Iterator[None]:
    """Import, in the block, what imports MMSegmentation.

    Without effect unless ``mcdrl_common.quiet_tools`` was imported in this process or
    in one above it. Warnings of the list and what MMEngine says of environment
    variables in configs stay silent after the block.
    """
    if os.environ.get(_QUIET) != '1':
        yield
        return
    for start in _WARNINGS:
        warnings.filterwarnings('ignore', message=start)
    import mmengine.logging

    original = mmengine.logging.print_log

    def print_log(msg: Any, logger: Any = None, level: int = logging.INFO) -> None:
        # Without a logger MMEngine prints, lines of the level DEBUG too.
        if logger is not None or level > logging.DEBUG:
            original(msg, logger, level)

    with mock.patch.object(mmengine.logging, 'print_log', print_log):
        yield
    _silence_substitutions()


def _silence_substitutions() -> None:
    """MMEngine tells of each environment variable of a config, whenever it is read."""
    from mmengine.config import config

    original = config.print_log

    def print_log(msg: Any, logger: Any = None, level: int = logging.INFO) -> None:
        if not str(msg).startswith('Using env variable'):
            original(msg, logger, level)

    config.print_log = print_log
