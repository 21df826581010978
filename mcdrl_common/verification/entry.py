"""What is to be verified: an image, its mask, and the part they play."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from mcdrl_common.findings import Finding
from mcdrl_common.mask_format import MaskFormat


@dataclass(frozen=True)
class Entry:
    """An image with its mask, in one split.

    Args:
        image: The image file.
        mask: The mask file; need not exist.
        site: Name of the site, or ``''`` where the data set knows none.
        split: ``'train'``, ``'val'`` or ``'test'``; ``''`` for a folder of sites.
        mask_format: How the mask is read.
        root: Folder of all sites, where the layout is the common one.
    """

    image: Path
    mask: Path
    site: str
    split: str
    mask_format: MaskFormat
    root: Path | None = None

    @property
    def name(self) -> str:
        """The image's path below the folder of all sites, where there is one."""
        return name_below(self.image, self.root)


@dataclass
class Listing:
    """All that is to be verified, and what its names alone tell.

    Args:
        entries: Images with their masks.
        findings: What is wrong with the names.
        splits_of: File or folder of a finding -> splits that it is in.
        sampled_sites: Sites of which only some images are taken, for trying out.
    """

    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    splits_of: dict[str, set[str]] = field(default_factory=dict)
    sampled_sites: set[str] = field(default_factory=set)


def name_below(path: Path, root: Path | None) -> str:
    """A path as reports show it.

    Args:
        path: The file.
        root: Folder of all sites, or None.
    """
    # Not by relative_to, which takes longer than the rest of a check.
    return str(path).removeprefix(f'{root}{os.sep}') if root else str(path)
