"""One clear error if a package that the plug-in needs is missing or too old."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import NamedTuple

from packaging.version import InvalidVersion, Version


class Requirement(NamedTuple):
    """A package the plug-in needs.

    Attributes:
        module: Import name.
        minimum: Oldest supported version.
        distributions: Names of the module in package indexes, the preferred one first.
    """

    module: str
    minimum: str
    distributions: tuple[str, ...]


# The oldest versions that were tested, see docs/compatibility.md.
REQUIREMENTS = (
    Requirement('torch', '2.3.0', ('torch',)),
    Requirement('mmengine', '0.10.7', ('onedl-mmengine', 'mmengine')),
    Requirement('mmcv', '2.1.0', ('onedl-mmcv', 'mmcv')),
    Requirement('mmseg', '1.2.2', ('onedl-mmsegmentation', 'mmsegmentation')),
    Requirement('open_clip', '3.0.0', ('open_clip_torch',)),
)


def _installed_version(requirement: Requirement) -> str | None:
    """Version of the installed package, without importing it where possible."""
    for name in requirement.distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    # A source checkout on PYTHONPATH has no metadata; mmcv-lite has another name.
    try:
        module = importlib.import_module(requirement.module)
    except ImportError:
        return None
    return getattr(module, '__version__', '0')


def check_requirements(
    requirements: tuple[Requirement, ...] = REQUIREMENTS,
) -> None:
    """Check that every needed package is there in a supported version.

    Args:
        requirements: What to check, in the order of checking.

    Raises:
        ImportError: A package is missing or too old. The message names the first one,
            the version found, the version needed, and the command that installs it.
    """
    for requirement in requirements:
        found = _installed_version(requirement)
        try:
            fits = found is not None and Version(found) >= Version(requirement.minimum)
        except InvalidVersion:
            fits = False
        if not fits:
            state = 'it is not installed' if found is None else f'{found} was found'
            others = ''.join(f' (or "{d}")' for d in requirement.distributions[1:])
            raise ImportError(
                f'mcdrl_mmseg needs {requirement.module} >= {requirement.minimum}, '
                f'but {state}. Install it with: pip install '
                f'"{requirement.distributions[0]}>={requirement.minimum}"{others}'
            )
