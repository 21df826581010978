"""HTML pages: one file each, which needs nothing but itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render_page(template: str, packages: list[str], **content: Any) -> str:
    """Print a page as HTML; every text in it is escaped.

    Args:
        template: Name of the template.
        packages: Packages whose folders ``templates`` it and its parts lie in.
        **content: Everything that it prints.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(content)


def is_replaceable(path: Path, *marks: str) -> bool:
    """Whether nothing is there, or a file of ours: one that names its maker.

    Args:
        path: The file to write.
        *marks: Names of makers; one stands near the beginning of the file.
    """
    if not path.exists():
        return True
    if not path.is_file():
        return False
    with open(path, encoding='utf-8', errors='replace') as file:
        head = file.read(4096)
    return any(mark in head for mark in marks)
