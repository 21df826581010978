"""What the values of a site's masks mean, as a converter noted it beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from .json_files import read_json
from .site_files import CLASSES_FILE
from .sites import SiteDataError


def read_classes(folder: Path) -> dict[int, str]:
    """Value in the masks -> class, as a converter noted it.

    Args:
        folder: Folder of a site.

    Returns:
        Empty where nothing is noted: masks are then of 0 and 255.

    Raises:
        SiteDataError: The note is not as the converters write it.
    """
    file = folder / CLASSES_FILE
    if not file.is_file():
        return {}
    try:
        values = read_json(file)['mask_values']
        return {int(value): str(name) for value, name in values.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SiteDataError(
            f'{file}: expected {{"mask_values": {{"0": "background", ...}}}}, as the '
            'converters write it.'
        ) from None


def write_classes(folder: Path, values: Mapping[int, str]) -> None:
    """Note what the values of a site's masks mean.

    Args:
        folder: Folder of the site.
        values: Value in the masks -> class.
    """
    names = {str(value): name for value, name in values.items()}
    text = json.dumps({'mask_values': names}, indent=1, ensure_ascii=False)
    (folder / CLASSES_FILE).write_text(text + '\n', encoding='utf-8')
