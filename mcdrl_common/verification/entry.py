"""Items to verify: an image, its mask and their split."""

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
        site: Name of the site, or ``''`` if the data set has no sites.
        split: ``'train'``, ``'val'`` or ``'test'``; ``''`` for a folder of sites.
        mask_format: Format of the mask.
        root: Folder of all sites, if the layout is the usual one.
    """

    image: Path
    mask: Path
    site: str
    split: str
    mask_format: MaskFormat
    root: Path | None = None

    @property
    def name(self) -> str:
        """The image's path, relative to the folder of all sites if there is one."""
        return name_below(self.image, self.root)


@dataclass
class Listing:
    """All items to verify, with the findings about their names.

    Args:
        entries: Images with their masks.
        findings: Findings about file names.
        splits_of: File or folder of a finding -> its splits.
        sampled_sites: Sites of which only some images are used (``max_images``).
    """

    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    splits_of: dict[str, set[str]] = field(default_factory=dict)
    sampled_sites: set[str] = field(default_factory=set)


def name_below(path: Path, root: Path | None) -> str:
    """A path for reports, relative to the folder of all sites.

    Args:
        path: The file.
        root: Folder of all sites, or None.
    """
    # Not relative_to, which takes longer than the rest of a check.
    return str(path).removeprefix(f'{root}{os.sep}') if root else str(path)
