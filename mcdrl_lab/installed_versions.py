"""Versions of the packages that a result depends on."""

from __future__ import annotations

from importlib import metadata
from platform import python_version

# Module -> known distributions that contain it.
_DISTRIBUTIONS = {
    'mcdrl_mmseg': ('mcdrl-mmseg',),
    'torch': ('torch',),
    'mmengine': ('onedl-mmengine', 'mmengine'),
    'mmcv': ('onedl-mmcv', 'mmcv'),
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation'),
    'open_clip': ('open_clip_torch',),
    'numpy': ('numpy',),
}


def installed_versions() -> dict[str, str]:
    """Distribution and version of every package that a result depends on."""
    versions = {'python': python_version()}
    for module, names in _DISTRIBUTIONS.items():
        found = _first_installed(names) or _owner(module)
        if found is not None:
            versions[module] = f'{found.metadata["Name"]} {found.version}'
    return versions


def _first_installed(names: tuple[str, ...]) -> metadata.Distribution | None:
    for name in names:
        try:
            return metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _owner(module: str) -> metadata.Distribution | None:
    """The distribution of a module, found among all installed files; this is slow."""
    owners = metadata.packages_distributions().get(module)
    return metadata.distribution(owners[0]) if owners else None
