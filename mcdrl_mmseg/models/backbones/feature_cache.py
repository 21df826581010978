"""Cache of a frozen tower's features, in files that runs and processes share."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mcdrl_common import InputError
from mcdrl_common.atomic_write import write_bytes

FOLDER_VARIABLE = 'MCDRL_FEATURE_CACHE'
"""Environment variable that names the folder; without it nothing is cached."""
LIMIT_VARIABLE = 'MCDRL_FEATURE_CACHE_GB'
"""Environment variable for the largest size of the folder, in 10^9 bytes."""
DEFAULT_LIMIT_GB = 4.0
PRECISION_VARIABLE = 'MCDRL_FEATURE_CACHE_PRECISION'
"""Environment variable for the precision of the files: ``float32`` or ``float16``."""
PRECISIONS = ('float32', 'float16')

_SUFFIX = '.features'
# Key of the checksum in a file's metadata.
_CHECKSUM = 'sha256'
_DIGEST_DIGITS = 32
# Images whose cache key a process remembers.
_MOST_NAMES = 2**16
# The size of the folder is measured again after this many written images.
_LOOK_EVERY = 256
# Our source files that compute the features: a change in them makes new cache keys.
_SOURCES = (
    *sorted((Path(__file__).parents[2] / 'clip').glob('*.py')),
    Path(__file__).with_name('clip_vision_backbone.py'),
)


class FeatureCache:
    """Computes the features of an image once, and then reads them from a file.

    The key of an entry is a hash of the pixels that reach the tower. A flipped image is
    therefore an entry of its own, and a random augmentation that never repeats the same
    pixels never hits the cache. Each image runs through the tower alone: the rest of a
    batch changes the last bits of a result, and results would then depend on which run
    filled the cache.

    There is one file for each image, written as soon as its features are computed. A
    file's checksum is verified when this process first reads it; a damaged entry is
    computed again. Processes share the pages of the files by mapping them into memory,
    each only until a batch is assembled: files that stay mapped would count as memory
    of the process. A copied or pickled model starts with no verified entries.

    Args:
        folder: Where the files are; made if it does not exist.
        limit_gb: Largest size of the folder, in 10^9 bytes. Beyond it no files are
            written, and new features are computed each time.
        half: Cache features in float16: half of the space, rounded to three digits.
            Freshly computed features are rounded as well, so that results do not
            depend on cache hits. Only for float32 images without mixed precision.
    """

    def __init__(
        self, folder: str | os.PathLike, limit_gb: float, half: bool = False
    ) -> None:
        self.folder = Path(folder).expanduser()
        self.limit_gb = limit_gb
        self.half = half
        # Keys of entries whose checksum was verified. Tensors are not kept in memory:
        # such small long-lived blocks between large short-lived ones fragmented the
        # heap, which grew with every image.
        self._whole: set[str] = set()
        self._names: dict[int, str] = {}
        self._writes = True
        self._used = self._written = 0
        # A separate generator: it leaves the training's random numbers alone, and each
        # process draws another order.
        self._random = random.Random()

    @classmethod
    def from_environment(cls) -> FeatureCache | None:
        """The cache that :data:`FOLDER_VARIABLE` names; None where it names none.

        Raises:
            ValueError: :data:`LIMIT_VARIABLE` is no positive number, or
                :data:`PRECISION_VARIABLE` none of :data:`PRECISIONS`.
        """
        folder = os.environ.get(FOLDER_VARIABLE)
        if not folder:
            return None
        text = os.environ.get(LIMIT_VARIABLE, str(DEFAULT_LIMIT_GB))
        try:
            limit = float(text)
        except ValueError:
            limit = float('nan')
        if not 0 < limit < float('inf'):
            raise ValueError(
                f'{LIMIT_VARIABLE}={text!r} must be a positive number of gigabytes.'
            )
        precision = os.environ.get(PRECISION_VARIABLE, PRECISIONS[0])
        if precision not in PRECISIONS:
            raise ValueError(
                f'{PRECISION_VARIABLE}={precision!r} must be one of {PRECISIONS}.'
            )
        return cls(folder, limit, half=precision == 'float16')

    def __reduce__(self) -> tuple:
        return FeatureCache, (self.folder, self.limit_gb, self.half)

    def features(
        self,
        images: Tensor,
        tower: str,
        compute: Callable[[Tensor], Sequence[Tensor]],
    ) -> tuple[Tensor, ...]:
        """Features of a batch, read or computed.

        Args:
            images: (B, 3, H, W) on the CPU, as they reach the tower.
            tower: Fingerprint of everything else that the features depend on.
            compute: Maps an image (1, 3, H, W) to its features, each (1, ...).

        Raises:
            FeaturesTooLargeError: A feature exceeds the range of float16.
        """
        single = images.split(1)
        half = self.half and images.dtype == torch.float32
        half = half and not torch.is_autocast_enabled('cpu')
        context = str((tower, images.dtype, tuple(images.shape[1:]), half))
        keys = [self._key(context, image) for image in single]
        rows = [self._read(key) for key in keys]
        missing = [place for place, row in enumerate(rows) if row is None]
        # Runs with the same seed and sites need the same images at the same time. As
        # each computes them in another order, they share the work without waiting.
        self._random.shuffle(missing)
        for place in missing:
            row = self._read(keys[place])
            if row is None:
                row = [part.contiguous() for part in compute(single[place])]
                row = [_halved(part) for part in row] if half else row
                self._keep(keys[place], row)
            rows[place] = row
        joined = (torch.cat(parts) for parts in zip(*rows))
        return tuple(part.float() if half else part for part in joined)

    def _key(self, context: str, image: Tensor) -> str:
        """The :func:`digest` of an image, from memory if it was seen before."""
        # Python's hash takes half the time of SHA-256. It differs between processes, so
        # it is only used in memory. Two of 2**16 images collide with a chance of 1e-10.
        pixels = image.detach().contiguous().flatten().view(torch.uint8)
        short = hash((context, pixels.numpy().tobytes()))
        key = self._names.get(short)
        if key is None:
            key = digest(context, image)
            if len(self._names) < _MOST_NAMES:
                self._names[short] = key
        return key

    def _read(self, key: str) -> list[Tensor] | None:
        """Features of an image, mapped into memory; None without an intact file."""
        try:
            with safe_open(self._path(key), framework='pt') as file:
                features = [file.get_tensor(str(n)) for n in range(len(file.keys()))]
                checksum = (file.metadata() or {}).get(_CHECKSUM)
        except (OSError, SafetensorError):
            return None
        if key not in self._whole:
            if checksum != _checksum(features):
                return None
            self._whole.add(key)
        return features

    def _keep(self, key: str, features: Sequence[Tensor]) -> None:
        """Write features; once that is not possible, warn and write no more."""
        if not self._writes:
            return
        content = save(
            {str(number): part for number, part in enumerate(features)},
            metadata={_CHECKSUM: _checksum(features)},
        )
        problem = None
        try:
            if self._written % _LOOK_EVERY == 0:
                self._used = _size(self.folder)
            self._written += 1
            self._used += len(content)
            if self._used > self.limit_gb * 1e9:
                problem = (
                    f'it has reached {self.limit_gb:g} GB. Delete it, including '
                    f'features of other versions and towers, or raise {LIMIT_VARIABLE}'
                )
            else:
                # No fsync: the checksum detects a file that a crash cut short.
                write_bytes(self._path(key), content, durable=False)
        except OSError as error:
            problem = str(error)
        if problem is not None:
            self._writes = False
            warnings.warn(
                f'{self.folder}: further features of the frozen tower are not cached, '
                f'but computed each time: {problem}.',
                stacklevel=2,
            )

    def _path(self, key: str) -> str:
        return os.path.join(self.folder, f'{key}{_SUFFIX}')


class FeaturesTooLargeError(InputError, ValueError):
    """Features that exceed the range of the cache's precision."""


def _halved(features: Tensor) -> Tensor:
    halved = features.half()
    if not torch.equal(halved.isfinite(), features.isfinite()):
        raise FeaturesTooLargeError(
            f'A feature of the frozen tower is {features.abs().max():g}, above the '
            f'maximum of float16, 65504. Set {PRECISION_VARIABLE}=float32.'
        )
    return halved


def _size(folder: Path) -> int:
    """Bytes of all files in the folder."""
    size = 0
    # The folder may be deleted at any time, and the temporary files of other processes
    # disappear when they are renamed.
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                size += entry.stat().st_size
    return size


@functools.cache
def code_digest() -> str:
    """Digest of the code and packages that compute features."""
    import open_clip
    import timm

    sources = [path.read_bytes() for path in _SOURCES]
    versions = [module.__version__ for module in (torch, open_clip, timm)]
    return digest(repr((sources, versions)))


def digest(text: str, *tensors: Tensor) -> str:
    """SHA-256 of a text and tensors, shortened.

    Args:
        text: The text.
        tensors: Tensors on the CPU.
    """
    return _sha256(text, tensors)


def _checksum(features: Sequence[Tensor]) -> str:
    return _sha256('', features)


def _sha256(text: str, tensors: Sequence[Tensor]) -> str:
    # CPUs have instructions for SHA-256: it takes half the time of BLAKE2.
    state = hashlib.sha256(text.encode(), usedforsecurity=False)
    for tensor in tensors:
        state.update(str((tensor.dtype, tuple(tensor.shape))).encode())
        # As bytes: NumPy has no bfloat16.
        content = tensor.detach().contiguous().flatten().view(torch.uint8)
        state.update(content.numpy().data)
    return state.hexdigest()[:_DIGEST_DIGITS]
