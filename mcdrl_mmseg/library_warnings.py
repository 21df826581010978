"""Silences warnings of other packages that users of our tools cannot act on."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

_QUIET = 'MCDRL_QUIET'
# Regular expressions for the start of a warning.
_WARNINGS = (
    # mmcv-lite lacks this operator, and nothing here uses it.
    'Fail to import ``MultiScaleDeformableAttention``',
    # mmseg's advice on equivalent ways to configure a head and a loss.
    'For binary segmentation, we suggest using',
    'Default ``avg_non_ignore`` is False',
    'The draw is False, it means that the hook for visualization',
)


@contextmanager
def quiet_if_asked() -> Iterator[None]:
    """Context for imports that import MMSegmentation.

    Has no effect unless ``mcdrl_common.quiet_tools`` was imported in this process or a
    parent process. The listed warnings, and MMEngine's messages about environment
    variables in configs, stay silent after the block.
    """
    if os.environ.get(_QUIET) != '1':
        yield
        return
    for start in _WARNINGS:
        warnings.filterwarnings('ignore', message=start)
    import mmengine.logging

    original = mmengine.logging.print_log

    def print_log(msg: Any, logger: Any = None, level: int = logging.INFO) -> None:
        # Without a logger MMEngine prints messages of every level, DEBUG too.
        if logger is not None or level > logging.DEBUG:
            original(msg, logger, level)

    with mock.patch.object(mmengine.logging, 'print_log', print_log):
        yield
    _silence_substitutions()


def _silence_substitutions() -> None:
    """Silence MMEngine's message about each environment variable in a config."""
    from mmengine.config import config

    original = config.print_log

    def print_log(msg: Any, logger: Any = None, level: int = logging.INFO) -> None:
        if not str(msg).startswith('Using env variable'):
            original(msg, logger, level)

    config.print_log = print_log
