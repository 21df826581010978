"""Names of methods and sites, which also name folders."""

from __future__ import annotations

import re

from mcdrl_lab.errors import ProtocolError

# ext4 and NTFS allow 255; some file names add to it.
_LONGEST = 200
ORACLE_ENDING = '-oracle'


def check_name(kind: str, name: str) -> str:
    """Refuse a name that cannot name a folder.

    Args:
        kind: What the name is for, for the message.
        name: The name.

    Raises:
        ProtocolError: The name has characters other than letters, digits and ``._+-``,
            or is too long.
    """
    if len(name) > _LONGEST:
        raise ProtocolError(
            f'{kind} {name[:20]!r}... is too long for the name of a folder: the limit '
            f'is {_LONGEST} characters.'
        )
    if not re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9._+-]*', name):
        raise ProtocolError(
            f'{kind} {name!r} cannot name a folder: use letters, digits and "._+-" '
            'only, and start with a letter or digit.'
        )
    return name


def run_folder_of(method: str, held_out: str, seed: int, selection: str) -> str:
    """A run's folder, relative to its plan's.

    Args:
        method: Name of the method.
        held_out: The held-out site.
        seed: Random seed.
        selection: ``'validation'`` or ``'oracle'``.
    """
    return f'{method}{selection_ending(selection)}/{held_out}/seed{seed}'


def selection_ending(selection: str) -> str:
    """Suffix of files and folders for this way to choose the checkpoint.

    Args:
        selection: ``'validation'`` or ``'oracle'``; only the latter has one.
    """
    return ORACLE_ENDING if selection == 'oracle' else ''
