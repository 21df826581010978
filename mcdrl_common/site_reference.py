"""Reference statistics of the training images in a checkpoint, without the images.

For every training site: quantiles, mean and spread of CLIP's score of each imaging
condition. For all sites together: the distribution of the image embeddings. A few
thousand numbers, none of a single image.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcdrl_common import InputError

META_KEY = 'site_reference'
"""Key of a checkpoint's ``meta``."""

LEVELS = (0.025, 0.25, 0.5, 0.75, 0.975)
"""Levels of the quantiles; 95 % of the images are between the first and the last."""

MIN_IMAGES = 10
"""Least number of images for a site's ranges, which otherwise would not generalise."""

_SCHEMA = 1
_DISTANCE_LEVELS = (0.5, 0.95, 0.975)
_AXES = 4
_DIGITS = 5
# Limits for untrusted files, checked before parsing and allocating.
_MAX_CHARACTERS = 4_000_000
_MAX_SITES, _MAX_CONDITIONS, _MAX_DIMS = 256, 1024, 16384
_MAX_NAME_LENGTH = 200
_LARGEST = 1e6
# Spread that counts as none: float32 embeddings of equal images differ by this much.
_NO_SPREAD = 1e-6


class SiteReferenceError(InputError, ValueError):
    """Missing or unusable reference statistics; the message says what to do."""


@dataclass(frozen=True)
class SiteReference:
    """Statistics of the training sites.

    Attributes:
        conditions: M names of imaging conditions, as in the dictionary.
        sites: S names of training sites.
        counts: (S,) number of images of each site.
        quantiles: (S, M, 5) quantiles of the scores, at :data:`LEVELS`.
        means: (S, M) means of the scores.
        stds: (S, M) standard deviations of the scores, with n - 1.
        center: (d,) mean of the L2-normalised image embeddings of all sites.
        axes: (r, d) orthonormal directions of their largest variance.
        spreads: (r,) standard deviation along each of these.
        rest: Standard deviation along each of the d - r other directions.
        distances: Quantiles of the training images' :meth:`distance`, at 0.5, 0.95 and
            0.975.
        fingerprint: Fingerprint of the dictionary whose texts give the scores.
    """

    conditions: tuple[str, ...]
    sites: tuple[str, ...]
    counts: np.ndarray
    quantiles: np.ndarray
    means: np.ndarray
    stds: np.ndarray
    center: np.ndarray
    axes: np.ndarray
    spreads: np.ndarray
    rest: float
    distances: tuple[float, ...]
    fingerprint: str

    @property
    def low(self) -> np.ndarray:
        """(M,) lowest lower end of the sites' 95 % ranges."""
        return self.quantiles[:, :, 0].min(axis=0)

    @property
    def high(self) -> np.ndarray:
        """(M,) highest upper end of the sites' 95 % ranges."""
        return self.quantiles[:, :, -1].max(axis=0)

    def beyond(self, scores: np.ndarray) -> np.ndarray:
        """Which scores are outside the 95 % range of every training site.

        Args:
            scores: (n, M).

        Returns:
            (n, M) int: 1 above, -1 below, 0 within.
        """
        above = scores > self.high + _NO_SPREAD
        below = scores < self.low - _NO_SPREAD
        return above.astype(int) - below.astype(int)

    def distance(self, embeddings: np.ndarray) -> np.ndarray:
        """Distance of embeddings from those of the training sites.

        Mahalanobis distance divided by the square root of d, about 1 for a training
        image. The covariance has r main directions and equal variance in all others.

        Args:
            embeddings: (n, d), L2-normalised.

        Returns:
            (n,).
        """
        return _distance(embeddings, self.center, self.axes, self.spreads, self.rest)

    @property
    def farthest_usual(self) -> float:
        """97.5 % quantile of the training images' distances."""
        return self.distances[-1]

    def to_text(self) -> str:
        """The statistics as JSON, with five significant digits."""
        return json.dumps(
            dict(
                schema=_SCHEMA,
                conditions=list(self.conditions),
                sites=list(self.sites),
                fingerprint=self.fingerprint,
                rest=_rounded(self.rest),
                distances=_rounded(self.distances),
                **{name: _rounded(getattr(self, name)) for name in _ARRAYS},
            ),
            allow_nan=False,
            separators=(',', ':'),
        )

    @classmethod
    def from_text(cls, text: Any, source: str) -> SiteReference:
        """Read the text of :meth:`to_text`, which may come from an untrusted file.

        Args:
            text: Value in a checkpoint's meta.
            source: The checkpoint, for messages.

        Raises:
            SiteReferenceError: The text is invalid, or has values that are not finite.
        """
        try:
            return _parse(text)
        except (
            ValueError,
            TypeError,
            KeyError,
            OverflowError,
            RecursionError,
        ) as error:
            raise SiteReferenceError(
                f'{source}: the reference statistics of the training sites cannot be '
                f'used ({error}). Write them again: python -m mcdrl_lab '
                f'site-reference CONFIG {source}'
            ) from None


_ARRAYS = ('counts', 'quantiles', 'means', 'stds', 'center', 'axes', 'spreads')


def site_reference(
    scores: np.ndarray,
    embeddings: np.ndarray,
    sites: Sequence[str],
    conditions: Sequence[str],
    fingerprint: str = '',
) -> SiteReference:
    """Compute the statistics of training images.

    Args:
        scores: (n, M) score of each condition in each image.
        embeddings: (n, d) image embeddings, L2-normalised.
        sites: Site of each of the n images. A site with fewer than :data:`MIN_IMAGES`
            images is left out.
        conditions: M names.
        fingerprint: Fingerprint of the dictionary.

    Raises:
        SiteReferenceError: A value is not finite, no site has enough images, or all
            images are equal.
    """
    scores = np.asarray(scores, np.float64)
    embeddings = np.asarray(embeddings, np.float64)
    names = np.asarray(sites)
    if not (np.isfinite(scores).all() and np.isfinite(embeddings).all()):
        raise SiteReferenceError(
            "CLIP's embeddings of the training images contain NaN or infinite values."
        )
    kept = [n for n in dict.fromkeys(sites) if (names == n).sum() >= MIN_IMAGES]
    if not kept:
        raise SiteReferenceError(
            f'no training site has {MIN_IMAGES} images, the minimum for a range.'
        )
    used = np.isin(names, kept)
    scores, embeddings, names = scores[used], embeddings[used], names[used]
    if not len(scores) or np.ptp(embeddings, axis=0).max() <= _NO_SPREAD:
        raise SiteReferenceError(
            "CLIP's embeddings of all training images are equal: they have no range."
        )
    groups = [scores[names == name] for name in kept]
    center, axes, spreads, rest = _directions(embeddings)
    distances = _distance(embeddings, center, axes, spreads, rest)
    quantiles = [np.quantile(group, LEVELS, axis=0).T for group in groups]
    return SiteReference(
        conditions=tuple(conditions),
        sites=tuple(kept),
        counts=np.array([len(group) for group in groups]),
        quantiles=np.array(quantiles),
        means=np.array([group.mean(axis=0) for group in groups]),
        stds=np.array([group.std(axis=0, ddof=1) for group in groups]),
        center=center,
        axes=axes,
        spreads=spreads,
        rest=rest,
        distances=tuple(np.quantile(distances, _DISTANCE_LEVELS).tolist()),
        fingerprint=fingerprint,
    )


def _directions(
    embeddings: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Mean, main directions, spread along each, and spread along each other one."""
    center = embeddings.mean(axis=0)
    _, values, directions = np.linalg.svd(embeddings - center, full_matrices=False)
    variances = values**2 / (len(embeddings) - 1)
    count = min(_AXES, int((variances > _NO_SPREAD**2).sum()))
    others = embeddings.shape[1] - count
    rest = math.sqrt(variances[count:].sum() / max(others, 1))
    spreads = np.sqrt(variances[:count])
    # If images only span few directions, the spread in the others would be 0.
    return center, directions[:count], spreads, max(rest, _NO_SPREAD)


def _distance(
    embeddings: np.ndarray,
    center: np.ndarray,
    axes: np.ndarray,
    spreads: np.ndarray,
    rest: float,
) -> np.ndarray:
    away = np.asarray(embeddings, np.float64) - center
    along = away @ axes.T
    off = np.maximum((away**2).sum(axis=1) - (along**2).sum(axis=1), 0)
    total = ((along / spreads) ** 2).sum(axis=1) + off / rest**2
    return np.sqrt(total / len(center))


def _rounded(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, list | tuple):
        return [_rounded(value) for value in values]
    return values if isinstance(values, int) else float(f'{values:.{_DIGITS}g}')


def _parse(text: Any) -> SiteReference:
    if not isinstance(text, str):
        raise TypeError(f'expected JSON text, got {type(text).__name__}')
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f'{len(text)} characters; the limit is {_MAX_CHARACTERS}')
    values = json.loads(text)
    if not isinstance(values, Mapping) or values.get('schema') != _SCHEMA:
        raise ValueError(f'expected an object with schema={_SCHEMA}')
    conditions = _names(values, 'conditions', _MAX_CONDITIONS)
    sites = _names(values, 'sites', _MAX_SITES)
    fingerprint = values['fingerprint']
    if not isinstance(fingerprint, str) or len(fingerprint) > _MAX_NAME_LENGTH:
        raise ValueError('fingerprint is not a short text')
    dims = len(values['center'])
    if not 0 < dims <= _MAX_DIMS:
        raise ValueError(f'center has {dims} numbers; expected 1 to {_MAX_DIMS}')
    rank = len(values['spreads'])
    shapes = dict(
        counts=(len(sites),),
        quantiles=(len(sites), len(conditions), len(LEVELS)),
        means=(len(sites), len(conditions)),
        stds=(len(sites), len(conditions)),
        center=(dims,),
        axes=(rank, dims),
        spreads=(rank,),
        distances=(len(_DISTANCE_LEVELS),),
        rest=(),
    )
    arrays = {name: _array(values, name, shape) for name, shape in shapes.items()}
    if (np.diff(arrays['quantiles'], axis=2) < 0).any():
        raise ValueError('quantiles are not in ascending order')
    if (arrays['stds'] < 0).any() or (arrays['counts'] < MIN_IMAGES).any():
        raise ValueError(f'stds has a negative value, or counts one below {MIN_IMAGES}')
    if (arrays['spreads'] <= 0).any() or arrays['rest'] <= 0:
        raise ValueError('spreads or rest is not above 0')
    rest, distances = float(arrays.pop('rest')), arrays.pop('distances')
    return SiteReference(
        conditions=conditions,
        sites=sites,
        rest=rest,
        distances=tuple(distances.tolist()),
        fingerprint=fingerprint,
        **arrays,
    )


def _names(values: Mapping, key: str, most: int) -> tuple[str, ...]:
    names = values[key]
    if not isinstance(names, list) or not 0 < len(names) <= most:
        raise ValueError(f'{key} is not a list of 1 to {most} names')
    for name in names:
        if not isinstance(name, str) or not name.isprintable():
            raise ValueError(f'{key} holds a value that is not a printable name')
        if len(name) > _MAX_NAME_LENGTH:
            raise ValueError(
                f'{key} holds a name of {len(name)} characters, which is too long'
            )
    if len(set(names)) < len(names):
        raise ValueError(f'{key} holds a name twice')
    return tuple(names)


def _array(values: Mapping, key: str, shape: tuple[int, ...]) -> np.ndarray:
    array = np.array(values[key], dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f'{key} has the shape {array.shape}, expected {shape}')
    if not np.isfinite(array).all() or (np.abs(array) > _LARGEST).any():
        raise ValueError(f'{key} holds values that are not finite or are far too large')
    return array
