"""Versions of the packages that a result depends on."""

from __future__ import annotations

from importlib import metadata
from platform import python_version

VERSIONED_MODULES = (
    'mcdrl_mmseg',
    'torch',
    'mmengine',
    'mmcv',
    'mmseg',
    'open_clip',
    'numpy',
)


def installed_versions() -> dict[str, str]:
    """Distribution and version of every package that a result depends on."""
    owners = metadata.packages_distributions()
    versions = {'python': python_version()}
    for module in VERSIONED_MODULES:
        for name in owners.get(module, ())[:1]:
            versions[module] = f'{name} {metadata.version(name)}'
    return versions
