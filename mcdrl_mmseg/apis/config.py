"""Configs: read with errors that say what to do, and formatted as text only once."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config

from mcdrl_common import InputError

# Kinds of files that MMEngine reads.
_CONFIGS = ('.py', '.yml', '.yaml', '.json')


class ConfigFileError(InputError, ValueError):
    """A config that cannot be read or merged; the message names file and key."""


def read_config(path: str | os.PathLike) -> Config:
    """Read a config file, which MMEngine executes.

    Args:
        path: The file.

    Raises:
        ConfigFileError: It is a file of another kind, merges a dict into a value that
            is none, or raises a ValueError itself, as ours do if ``MCDRL_HELD_OUT`` is
            no site.
    """
    if Path(path).is_file() and Path(path).suffix not in _CONFIGS:
        raise ConfigFileError(
            f'{path}: expected a config file, whose name ends in {", ".join(_CONFIGS)}.'
        )
    try:
        with named_merging(path):
            return Config.fromfile(path)
    except ValueError as error:
        frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
        *_, caller, raising = frames
        if caller.co_name != '_file2dict':
            raise
        # Only errors raised in the config or its bases, not in functions they call.
        raise ConfigFileError(f'{raising.co_filename}: {error}') from None


@contextmanager
def named_merging(source: str | os.PathLike) -> Iterator[None]:
    """Context that names file and key of a dict that MMEngine cannot merge.

    MMEngine's own error names only the last key, and no file.

    Args:
        source: The config that is merged; if a base config causes the error, its name
            is used instead.

    Raises:
        ConfigFileError: MMEngine cannot merge the dict.
    """
    try:
        yield
    except TypeError as error:
        keys, kind = [], ''
        for frame, _ in traceback.walk_tb(error.__traceback__):
            name, values = frame.f_code.co_name, frame.f_locals
            if name == '_file2dict':
                source = values.get('filename', source)
            elif name == '_merge_a_into_b' and 'k' in values:
                keys.append(str(values['k']))
                kind = type(values['b'][values['k']]).__name__
        if '_delete_' not in str(error) or not keys:
            raise
        key = '.'.join(keys)
        what = 'None' if kind == 'NoneType' else f'of type {kind}'
        raise ConfigFileError(
            f'{source}: {key} is a dict, which cannot be merged into a value that is '
            f'{what}. To replace that value, add _delete_=True to the dict.'
        ) from None


class FormattedOnceConfig(Config):
    """A config that caches its formatted text until its entries change.

    MMEngine writes the text into logs and into every checkpoint. It formats the text
    anew each time with yapf, which takes a third of a second, while a tiny model trains
    for ten. Here the text has the layout that MMEngine gives it before yapf: this takes
    a tenth of the time.

    Copies keep the text. Otherwise it is like any other config.
    """

    @classmethod
    def of(cls, cfg: Config) -> FormattedOnceConfig:
        """Make one with the entries, file name and other properties of a config.

        Args:
            cfg: The config; entries are shared with it.
        """
        once = cls.__new__(cls)
        once.__dict__.update(cfg.__dict__, _format_python_code=False)
        return once

    @property
    def pretty_text(self) -> str:
        """Formatted text, as of :class:`~mmengine.config.Config`."""
        # Via __dict__: Config's attribute access returns entries of the same name.
        entries = repr(self.__dict__['_cfg_dict'])
        known, text = self.__dict__.get('_formatted', (None, None))
        if known != entries:
            text = super().pretty_text
            self.__dict__['_formatted'] = entries, text
        return text
