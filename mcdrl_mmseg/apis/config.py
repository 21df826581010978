"""Configs: read with errors that say what to do, and turned into text once."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config

from mcdrl_common import InputError


class ConfigFileError(InputError, ValueError):
    """A config that cannot be put together; the message names file and key."""


def read_config(path: str | os.PathLike) -> Config:
    """Read a config file, which is executed as all of MMEngine's are.

    Args:
        path: The file.

    Raises:
        ConfigFileError: It changes entries of a value that has none, or refuses a
            value itself, as ours do of an ``MCDRL_HELD_OUT`` that is no site.
    """
    try:
        with named_merging(path):
            return Config.fromfile(path)
    except ValueError as error:
        frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
        *_, caller, raising = frames
        if caller.co_name != '_file2dict':
            raise
        # By a line of the config, or of one below it, and not by what it calls.
        raise ConfigFileError(f'{raising.co_filename}: {error}') from None


@contextmanager
def named_merging(source: str | os.PathLike) -> Iterator[None]:
    """Say where a dict stands that MMEngine cannot merge into another value.

    Its own error names the last key alone, and no file.

    Args:
        source: What is merged; a config below it that is to blame is named instead.

    Raises:
        ConfigFileError: As above.
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
            f'{source}: {key} is a dict, of entries to change, but {what} in what it '
            'changes. To put the dict in its place, add _delete_=True to it.'
        ) from None


class FormattedOnceConfig(Config):
    """A config that keeps its formatted text for as long as its entries stay.

    MMEngine writes the text into logs and into every checkpoint, and makes it anew each
    time, formatted by yapf: a third of a second, where a tiny model trains for ten.
    Here it has the layout that MMEngine gives it before yapf, in a tenth of the time.

    Copies keep the text too. Otherwise it is as any other config.
    """

    @classmethod
    def of(cls, cfg: Config) -> FormattedOnceConfig:
        """The same entries, file name and other properties as another config's.

        Args:
            cfg: The other config; entries are shared with it.
        """
        once = cls.__new__(cls)
        once.__dict__.update(cfg.__dict__, _format_python_code=False)
        return once

    @property
    def pretty_text(self) -> str:
        """Formatted text, as of :class:`~mmengine.config.Config`."""
        # Config hides attributes of its own behind entries of the same name.
        entries = repr(self.__dict__['_cfg_dict'])
        known, text = self.__dict__.get('_formatted', (None, None))
        if known != entries:
            text = super().pretty_text
            self.__dict__['_formatted'] = entries, text
        return text
