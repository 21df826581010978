"""Fingerprints of images, and pairs of images that are near copies."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

NEAR_BITS = 32
"""Largest number of different bits, of 255, between near copies.

On six hospitals' endoscopy images every pair up to 32 bits was one scene; from 36 on
there were pairs that share only the endoscope's frame and text.
"""

_HASH_SIDE = 16
_THUMBNAIL = (64, 64)
# Decimals to round to, so that coefficients are the same on every machine.
_DIGITS = 6
_BLOCK = 2048


def _cosines(count: int, length: int) -> np.ndarray:
    """(count, length) lowest basis functions of the orthonormal DCT-II."""
    frequencies, places = np.arange(count)[:, None], np.arange(length) + 0.5
    waves = np.cos(np.pi * frequencies * places / length) * np.sqrt(2 / length)
    waves[0] /= np.sqrt(2)
    return waves


_COSINES = _cosines(_HASH_SIDE, _THUMBNAIL[0])


@dataclass(frozen=True)
class Fingerprint:
    """Digests of an image.

    Args:
        content: Digest of size and pixels, as hexadecimal digits.
        perceptual: Perceptual hash of 255 bits, as hexadecimal digits.
    """

    content: str
    perceptual: str


def fingerprint(image: Image.Image) -> Fingerprint:
    """Compute an image's digest and perceptual hash.

    The perceptual hash is the usual one: it says which of the 16 x 16 lowest
    frequencies of the cosine transform, without the mean, are above their median.
    ``imagehash`` computes it from another thumbnail and includes the mean: its bits
    differ from those for which ``NEAR_BITS`` was measured, and it needs SciPy and
    PyWavelets.

    Args:
        image: RGB.
    """
    digest = hashlib.sha256(repr(image.size).encode())
    digest.update(image.tobytes())
    small = image.convert('L').resize(_THUMBNAIL, Image.Resampling.BOX)
    waves = _COSINES @ np.asarray(small, dtype=float) @ _COSINES.T
    lowest = waves.round(_DIGITS).ravel()[1:]
    bits = np.packbits(lowest > np.median(lowest))
    return Fingerprint(digest.hexdigest(), bits.tobytes().hex())


class NearPair(NamedTuple):
    """Two images that look alike.

    Args:
        first: Index of one image.
        second: Index of the other.
        bits: Number of different bits.
        turned: ``'mirrored'`` or ``'rotated'`` (by a multiple of 90 degrees) if one
            image looks like the other after that, else empty.
    """

    first: int
    second: int
    bits: int
    turned: str


def near_pairs_between(
    first: Sequence[str], second: Sequence[str]
) -> Iterator[NearPair]:
    """Pairs of perceptual hashes that differ by at most ``NEAR_BITS``.

    An image mirrored or rotated by a multiple of 90 degrees counts too. Its hash
    follows from the image's: signs of odd frequencies change, rows and columns change
    places. The median changes as well, which on endoscopy images costs 6 or 7
    bits in the mean and 38 at most.

    Args:
        first: Hashes, as in :attr:`Fingerprint.perceptual`.
        second: Hashes to compare each of them with.

    Yields:
        The pairs, each once, in its nearest orientation.
    """
    if not len(first) or not len(second):
        return
    # With bits as -1 and 1, the dot product counts equal bits minus different bits.
    signs, others = _signs(first), _signs(second)
    length = signs.shape[1]
    for start in range(0, len(signs), _BLOCK):
        block = signs[start : start + _BLOCK]
        equal = np.full((len(block), len(others)), -np.inf, np.float32)
        turn = np.zeros(equal.shape, np.int8)
        for number, (_, order, sign) in enumerate(_TURNS):
            product = block @ (others[:, order] * sign).T
            turn[product > equal] = number
            np.maximum(equal, product, out=equal)
        differing = (length - equal) / 2
        for row, column in np.argwhere(differing <= NEAR_BITS).tolist():
            bits, name = int(differing[row, column]), _TURNS[turn[row, column]][0]
            yield NearPair(row + start, column, bits, name)


def _turns() -> list[tuple[str, np.ndarray, np.ndarray]]:
    """What the eight orientations of an image do to the bits of its hash.

    Returns:
        For each, as it is first: its name, the order of the 256 bits, and their signs.
    """
    rows, columns = np.divmod(np.arange(1, _HASH_SIDE**2), _HASH_SIDE)
    turns = []
    for swap, vertical, horizontal in itertools.product((0, 1), repeat=3):
        reflections = swap + vertical + horizontal
        name = 'mirrored' if reflections % 2 else 'rotated' if reflections else ''
        high, low = (columns, rows) if swap else (rows, columns)
        # The last bit is padding.
        order = np.append(high * _HASH_SIDE + low - 1, _HASH_SIDE**2 - 1)
        sign = np.append((-1.0) ** (vertical * rows + horizontal * columns), 1)
        turns.append((name, order, sign.astype(np.float32)))
    return turns


_TURNS = _turns()


def _signs(perceptual: Sequence[str]) -> np.ndarray:
    """(n, 256) hashes as -1 and 1; the last bit is always the same."""
    packed = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in perceptual]
    return np.unpackbits(np.stack(packed), axis=1).astype(np.float32) * 2 - 1
