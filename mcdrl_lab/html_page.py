"""HTML pages, each one self-contained file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render_page(template: str, packages: list[str], **content: Any) -> str:
    """Render a template as HTML; every text in it is escaped.

    Args:
        template: Name of the template.
        packages: Packages in whose folders ``templates`` it and its includes are
            looked up.
        **content: The variables of the template.
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
    """Whether a path is free, or holds a file that this project generated.

    Args:
        path: The file to write.
        *marks: Names of generators. A generated file has one of them in its first
            4096 characters.
    """
    if not path.exists():
        return True
    if not path.is_file():
        return False
    with open(path, encoding='utf-8', errors='replace') as file:
        head = file.read(4096)
    return any(mark in head for mark in marks)
