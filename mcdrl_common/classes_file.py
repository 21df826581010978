"""``classes.json`` of a site, in which a converter names the classes of mask values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from .json_files import read_json
from .site_files import CLASSES_FILE
from .sites import SiteDataError, missing_background


def read_classes(folder: Path) -> dict[int, str]:
    """Read the file of a site.

    Args:
        folder: Folder of a site.

    Returns:
        Value in the masks -> class. Empty without a file: masks are then 0/255.

    Raises:
        SiteDataError: The file has another format than the converters write, or names
            no background.
    """
    file = folder / CLASSES_FILE
    if not file.is_file():
        return {}
    try:
        values = read_json(file)['mask_values']
        classes = {int(value): str(name) for value, name in values.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SiteDataError(
            f'{file}: expected {{"mask_values": {{"0": "background", ...}}}}, as the '
            'converters write it.'
        ) from None
    if missing := missing_background(classes):
        raise SiteDataError(f'{file}: {missing}')
    return classes


def write_classes(folder: Path, values: Mapping[int, str]) -> None:
    """Write the file of a site.

    Args:
        folder: Folder of the site.
        values: Value in the masks -> class.
    """
    names = {str(value): name for value, name in values.items()}
    text = json.dumps({'mask_values': names}, indent=1, ensure_ascii=False)
    (folder / CLASSES_FILE).write_text(text + '\n', encoding='utf-8')
