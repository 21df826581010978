"""Fingerprints of images, and pairs of images that are near copies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


def near_pairs_between(
    first: Sequence[str], second: Sequence[str]
) -> Iterator[tuple[int, int, int]]:
    """Pairs of perceptual hashes that differ by at most ``NEAR_BITS``.

    Args:
        first: Hashes, as in :attr:`Fingerprint.perceptual`.
        second: Hashes to compare each of them with.

    Yields:
        Index in ``first``, index in ``second``, and number of different bits.
    """
    if not len(first) or not len(second):
        return
    # With bits as -1 and 1, the dot product counts equal bits minus different bits.
    signs, others = _signs(first), _signs(second).T
    length = signs.shape[1]
    for start in range(0, len(signs), _BLOCK):
        differing = (length - signs[start : start + _BLOCK] @ others) / 2
        rows, columns = np.nonzero(differing <= NEAR_BITS)
        bits = differing[rows, columns].astype(int)
        yield from zip(
            (rows + start).tolist(), columns.tolist(), bits.tolist(), strict=True
        )


def _signs(perceptual: Sequence[str]) -> np.ndarray:
    """(n, 256) hashes as -1 and 1; the last bit is always the same."""
    packed = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in perceptual]
    return np.unpackbits(np.stack(packed), axis=1).astype(np.float32) * 2 - 1
