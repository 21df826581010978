"""Names of methods and sites, which are names of folders too."""

from __future__ import annotations

import re

from mcdrl_lab.errors import ProtocolError

# Ext4 and NTFS end at 255; files are named after it too.
_LONGEST = 200
ORACLE_ENDING = '-oracle'


def check_name(kind: str, name: str) -> str:
    """Refuse a name that could not be that of a folder.

    Args:
        kind: What is named, for the message.
        name: The name.

    Raises:
        ProtocolError: The name holds other than letters, digits and ``._+-``, or is
            longer than a folder's can be.
    """
    if len(name) > _LONGEST:
        raise ProtocolError(
            f'{kind} {name[:20]!r}... names a folder: use at most {_LONGEST} letters.'
        )
    if not re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9._+-]*', name):
        raise ProtocolError(
            f'{kind} {name!r} names a folder: use letters, digits and "._+-" only.'
        )
    return name


def run_folder_of(method: str, held_out: str, seed: int, selection: str) -> str:
    """A run's folder, relative to its plan's.

    Args:
        method: Name of the method.
        held_out: Site that is tested.
        seed: Random seed.
        selection: ``'validation'`` or ``'oracle'``.
    """
    return f'{method}{selection_ending(selection)}/{held_out}/seed{seed}'


def selection_ending(selection: str) -> str:
    """What marks names of files and folders whose checkpoints the test site chose.

    Args:
        selection: ``'validation'`` or ``'oracle'``.
    """
    return ORACLE_ENDING if selection == 'oracle' else ''
