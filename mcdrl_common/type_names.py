"""The class that an entry of a config names, however it names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def type_name(entry: Mapping[str, Any]) -> str:
    """Name of a class without its scope or module.

    Args:
        entry: Its ``type`` is ``'Resize'``, ``'mmseg.Resize'``,
            ``'mmcv.transforms.Resize'``, or the class itself, as in MMEngine's pure
            Python configs. Without one the name is empty.
    """
    kind = entry.get('type') or ''
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]
