"""Decoding of mask files into class indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from PIL import Image

from mcdrl_common.findings import FileProblem
from mcdrl_common.mask_format import (
    JPEG_RIPPLE,
    JPEG_SOFT_SHARE,
    THRESHOLD,
    binary_problem,
    flat_values,
    map_values,
    present_values,
)

FAINT_MASK = 'faint mask'
OTHER_COLOURS = 'other colours'
OTHER_MASKS = 'other masks'
# Channels of a grey mask saved as colour JPEG differ by a few levels only.
_COLOUR_SPREAD = 64
COLOUR_ADVICE = (
    'if colours stand for classes, use the source folder with --mask-values R,G,B=CLASS'
)
# Weights that turn (red, green, blue) into one number.
_CODE = np.array([2**16, 2**8, 1], np.int32)
_SHOWN_COLOURS = 5


@dataclass(frozen=True)
class Decoded:
    """A mask as class indices.

    Args:
        labels: (H, W) uint8: 0 background, 1... the site's lesion classes in their
            order, 255 ignored.
        notes: Kind and detail of what is worth reporting.
        colours: For a palette image whose indices were read: index -> colour, of the
            indices that occur.
    """

    labels: np.ndarray
    notes: tuple[tuple[str, str], ...] = ()
    colours: Mapping[int, str] = field(default_factory=dict)


class Decoding(Protocol):
    """How the values of a mask file are read."""

    def decode(self, image: Image.Image) -> Decoded:
        """Decode an open mask."""


@dataclass(frozen=True)
class BinaryDecoding:
    """Binary masks: values above half of the range are lesion.

    Args:
        label: Class index of the bright part.
    """

    label: int = 1

    def decode(self, image: Image.Image) -> Decoded:
        """Threshold.

        Args:
            image: The mask.

        Raises:
            FileProblem: A colour or transparent mask, or a mask whose brightest value
                is so low that no lesion would be left.
        """
        values, notes = _grey_values(image)
        lossy = image.format in ('JPEG', 'MPO')
        highest = int(values.max())
        if 0 < highest <= THRESHOLD and not (lossy and highest <= JPEG_RIPPLE):
            raise FileProblem(
                'unexpected values',
                f'highest value is {highest}; expected a mask of 0 and 255. If values '
                'stand for classes, use the source folder with --mask-values',
            )
        if problem := binary_problem([], flat_values(values), lossy):
            detail = problem.partition('. ')[0]
            raise FileProblem(
                'unexpected values',
                f'{detail}. If values stand for classes, use the source folder with '
                '--mask-values',
            )
        if 0 < highest <= THRESHOLD:
            detail = f'highest value of the JPEG is {highest}, read as no lesion'
            notes.append((FAINT_MASK, detail))
        low, high = (JPEG_RIPPLE, 255 - JPEG_RIPPLE) if lossy else (0, 255)
        share = float(((values > low) & (values < high)).mean())
        if share > (JPEG_SOFT_SHARE if lossy else 0):
            detail = f'{share:.3%} of the pixels lie between {low} and {high}'
            notes.append(('soft edges', f'{detail}; thresholded at > {THRESHOLD}'))
        labels = np.where(values > THRESHOLD, np.uint8(self.label), np.uint8(0))
        return Decoded(labels, tuple(notes))


@dataclass(frozen=True)
class LabelMapDecoding:
    """Values that stand for classes.

    Args:
        labels: Value in the file -> class index; other values are refused.
    """

    labels: Mapping[int, int]

    def decode(self, image: Image.Image) -> Decoded:
        """Look values up.

        Args:
            image: The mask; in a palette image the indices are used, not the colours.

        Raises:
            FileProblem: A colour or lossy mask, a GIF with a palette, or a value that
                is not named.
        """
        if image.format in ('JPEG', 'MPO'):
            detail = 'JPEG changes the values of a label map; expected PNG, TIFF or BMP'
            raise FileProblem('unexpected values', detail)
        if image.format == 'GIF' and image.mode == 'P':
            # Pillow drops the colours that a small GIF does not use and renumbers the
            # others: the same index may mean another class in the next file.
            detail = f'indices of a GIF may differ from its classes; {COLOUR_ADVICE}'
            raise FileProblem('unexpected values', detail)
        values = np.asarray(image)
        if values.ndim == 3:
            if (values[..., :3] != values[..., :1]).any():
                detail = f'expected one channel of class values; {COLOUR_ADVICE}'
                raise FileProblem('colour mask', detail)
            values = values[..., 0]
        if values.dtype == bool:
            values = values.astype(np.uint8)
        if values.dtype != np.uint8:
            raise FileProblem('unexpected values', f'{image.mode} mask; expected 8 bit')
        present = present_values(values)
        unknown = [v for v in present if v not in self.labels]
        if unknown:
            detail = f'values {unknown}; expected {sorted(self.labels)}'
            raise FileProblem('unexpected values', detail)
        colours = _palette_colours(image, present)
        return Decoded(map_values(values, self.labels), colours=colours)


@dataclass(frozen=True)
class ColourMapDecoding:
    """Colours that stand for classes.

    Args:
        labels: (red, green, blue) -> class index; other colours are refused.
    """

    labels: Mapping[tuple[int, int, int], int]

    def decode(self, image: Image.Image) -> Decoded:
        """Look colours up.

        Args:
            image: The mask; in a palette image the colours are used.

        Raises:
            FileProblem: A lossy or partly transparent mask, or a colour that is not
                named.
        """
        if image.format in ('JPEG', 'MPO'):
            detail = 'JPEG changes the colours of a mask; expected PNG, TIFF or BMP'
            raise FileProblem('unexpected values', detail)
        if image.mode not in ('L', 'P', 'RGB', 'RGBA'):
            raise FileProblem('unexpected values', f'{image.mode} mask; expected 8 bit')
        if 'A' in image.mode and image.getchannel('A').getextrema() != (255, 255):
            raise FileProblem(
                'colour mask', 'partly transparent; expected opaque colours'
            )
        codes = np.asarray(image.convert('RGB')).astype(np.int32) @ _CODE
        by_code = {int(np.dot(c, _CODE)): label for c, label in self.labels.items()}
        present, places = np.unique(codes, return_inverse=True)
        unknown = [_colour(code) for code in present.tolist() if code not in by_code]
        if unknown:
            named = ' '.join(_colour(code) for code in by_code)
            shown = ' '.join(unknown[:_SHOWN_COLOURS])
            detail = (
                f'{len(unknown)} unnamed colours, such as {shown}; expected {named}'
            )
            raise FileProblem('unexpected values', detail)
        table = np.array([by_code[code] for code in present.tolist()], np.uint8)
        return Decoded(table[places].reshape(codes.shape))


def _palette_colours(image: Image.Image, present: list[int]) -> dict[int, str]:
    """Colours of a palette image's indices; empty for other images."""
    values = image.getpalette() if image.mode == 'P' else None
    codes = np.array(values or (), np.int32).reshape(-1, 3) @ _CODE
    return {v: _colour(int(codes[v])) for v in present if v < len(codes)}


def _colour(code: int) -> str:
    """A colour as ``--mask-values`` takes it."""
    return f'{code >> 16},{code >> 8 & 255},{code & 255}'


def _grey_values(image: Image.Image) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """(H, W) uint8 values of a mask that may have been saved in colour."""
    if image.mode not in ('1', 'L', 'P', 'RGB', 'LA', 'RGBA'):
        raise FileProblem('unexpected values', f'{image.mode} mask; expected 8 bit')
    if 'A' in image.mode and image.getchannel('A').getextrema() != (255, 255):
        raise FileProblem('colour mask', 'partly transparent; expected one channel')
    if image.mode in ('1', 'L'):
        return np.asarray(image.convert('L')), []
    colours = np.asarray(image.convert('RGB'))
    spread = int(np.ptp(colours, axis=2).max())
    if spread > _COLOUR_SPREAD:
        detail = f'channels differ by up to {spread}; expected one grey channel; '
        if image.mode == 'P' and image.format != 'GIF':
            detail += (
                'if palette indices stand for classes, use the source folder with '
            )
            detail += '--mask-values VALUE=CLASS; '
        detail += COLOUR_ADVICE
        raise FileProblem('colour mask', detail)
    notes = []
    if image.mode == 'RGB':
        notes.append(('RGB mask', 'three channels that agree; read as one'))
    return np.asarray(image.convert('RGB').convert('L')), notes
