"""JSON files with a threshold, which the lab chooses and inference uses."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcdrl_common import InputError

from .atomic_write import write_text
from .json_files import is_number, read_json
from .printable import short_repr
from .written_files import WrittenFiles

MODEL_KEY = 'model_hash'
"""Key for the hash of the threshold's network; older files do not have it."""


class ThresholdFileError(InputError, ValueError):
    """A file without a valid threshold of this kind."""


@dataclass(frozen=True)
class ThresholdFile:
    """A kind of threshold file.

    Attributes:
        kind: Name of the kind in the file.
        numbers: Keys whose values must be in [0, 1], ``threshold`` included.
        name: Description of the threshold, for messages.
        command: Command that makes such a file.
    """

    kind: str
    numbers: tuple[str, ...]
    name: str
    command: str

    def write(
        self, path: str | os.PathLike, content: dict, made_of: Sequence[str] = ()
    ) -> None:
        """Write a threshold and its origin.

        Args:
            path: Target file; an existing file is replaced.
            content: The values of :attr:`numbers`, and any other JSON content.
            made_of: See :func:`~mcdrl_common.written_files.check_renewable`.
        """
        path = Path(path)
        write_text(path, json.dumps({'kind': self.kind, **content}, indent=1) + '\n')
        WrittenFiles(path.parent).add(path, made_of)

    def read(self, path: str | os.PathLike) -> dict:
        """Read a file of :meth:`write`.

        Args:
            path: The file.

        Returns:
            Its content; the values of :attr:`numbers` are numbers in [0, 1].

        Raises:
            ThresholdFileError: It is not a file of this kind.
        """
        path = Path(path)
        content = _content(path) or {}
        numbers = [content.get(name) for name in self.numbers]
        is_named = isinstance(content.get(MODEL_KEY, ''), str)
        if (
            content.get('kind') != self.kind
            or not all(map(_is_share, numbers))
            or not is_named
        ):
            raise ThresholdFileError(
                f'{path} holds no {self.name}. Make one with: {self.command}'
            )
        return content

    def check_model(
        self, content: Mapping[str, Any], model_hash: str, path: str | os.PathLike
    ) -> str | None:
        """Refuse a threshold that was chosen for another network.

        Args:
            content: From :meth:`read`.
            model_hash: The network's, see
                :func:`~mcdrl_common.model_settings.model_hash`; empty if not known.
            path: The file, for messages.

        Returns:
            A note if the networks cannot be compared; None if they agree.

        Raises:
            ThresholdFileError: It is for another network.
        """
        named = content.get(MODEL_KEY)
        method = content.get('method')
        of = f' ({short_repr(method)} of its records)' if method else ''
        if not named or not model_hash:
            return (
                f'{path} does not record the settings of the network that its '
                f'{self.name} was chosen for{of}. Check that this checkpoint has the '
                'same settings.'
            )
        if named != model_hash:
            raise ThresholdFileError(
                f'{path}: its {self.name} was chosen for another network{of}. The hash '
                f'of its settings is {named[:12]}, that of this checkpoint '
                f'{model_hash[:12]}. Choose one from records of networks like this '
                f'one: {self.command}. If the difference does not matter, remove '
                f'{MODEL_KEY} from the file.'
            )
        return None


CONFORMAL = ThresholdFile(
    kind='mcdrl.conformal_threshold',
    numbers=('threshold', 'level'),
    name='threshold with a guarantee',
    command='python -m mcdrl_lab conformal RECORDS --level LEVEL --out FILE',
)
"""Threshold on a pixel's lesion probability. Files also have ``risk``, ``method``,
``sites`` and ``seeds``."""

PRESENCE = ThresholdFile(
    kind='mcdrl.presence_threshold',
    numbers=('threshold',),
    name='presence threshold',
    command='python -m mcdrl_lab presence RECORDS --out FILE',
)
"""Threshold on an image's ``self_dice``. Files also have ``loss``, ``method``,
``sites`` and ``seeds``."""


def _is_share(value: object) -> bool:
    return is_number(value) and 0 <= value <= 1


def _content(path: Path) -> dict | None:
    try:
        content = read_json(path)
        # It is copied into results, which must be strict JSON.
        json.dumps(content, allow_nan=False)
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
