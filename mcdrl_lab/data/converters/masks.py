"""Where masks come from: mask files, outlines, or images without lesion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import opened

from .decodings import BinaryDecoding, Decoded, Decoding
from .input_files import FileTree
from .regions import Region, draw_regions


class Mask(Protocol):
    """Where an image's mask comes from."""

    @property
    def source(self) -> str:
        """Path of the file it comes from, relative to the input; may be empty."""

    def decode(self, tree: FileTree, size: tuple[int, int] | None) -> Decoded:
        """Decode for an image of (height, width) ``size``.

        None stands for an image that cannot be read: then the mask is only checked.
        """


@dataclass(frozen=True)
class FileMask:
    """A mask in a file of its own.

    Args:
        source: Its path relative to the input.
        decoding: How its values are read.
    """

    source: str
    decoding: Decoding = field(default_factory=BinaryDecoding)

    def decode(self, tree: FileTree, size: tuple[int, int] | None) -> Decoded:
        """Read and decode the file.

        Args:
            tree: All files.
            size: (height, width) of the image, if it can be read.

        Raises:
            FileProblem: Unreadable, of another size, or with unexpected values.
        """
        with opened(tree.path(self.source), 'mask') as image:
            found = (image.height, image.width)
            if size:
                _check_size('mask', found, size)
            return self.decoding.decode(image)


@dataclass(frozen=True)
class EmptyMask:
    """Mask of an image that is free of lesions and has no mask file.

    Args:
        source: Always empty.
    """

    source: str = ''

    def decode(self, tree: FileTree, size: tuple[int, int] | None) -> Decoded:
        """All background.

        Args:
            tree: All files.
            size: (height, width) of the image, if it can be read.
        """
        return Decoded(np.zeros(size or (0, 0), np.uint8))


@dataclass(frozen=True)
class RegionMask:
    """Outlines in an annotation file.

    Args:
        source: Path of the annotation file relative to the input.
        regions: The outlines of one image.
        size: (height, width) that the annotation file states, or None.
    """

    source: str
    regions: tuple[Region, ...]
    size: tuple[int, int] | None = None

    def decode(self, tree: FileTree, size: tuple[int, int] | None) -> Decoded:
        """Draw the outlines.

        Args:
            tree: All files.
            size: (height, width) of the image, if it can be read.

        Raises:
            FileProblem: The image is not the size that was annotated, or an outline
                cannot be drawn.
        """
        if size and self.size:
            _check_size('annotated size', self.size, size)
        labels, notes = draw_regions(self.regions if size else (), size or (0, 0))
        return Decoded(labels, notes)


def _check_size(what: str, found: tuple[int, int], size: tuple[int, int]) -> None:
    if found != size:
        detail = (
            f'the {what} is {found[0]} x {found[1]}, the image {size[0]} x {size[1]}'
        )
        raise FileProblem('size mismatch', f'{detail} (height x width)')
