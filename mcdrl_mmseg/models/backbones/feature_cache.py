"""Features of a frozen tower, kept in files that runs and processes share."""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mcdrl_common.atomic_write import write_bytes

if TYPE_CHECKING:
    from safetensors import safe_open

FOLDER_VARIABLE = 'MCDRL_FEATURE_CACHE'
"""Environment variable that names the folder; without it nothing is kept."""
LIMIT_VARIABLE = 'MCDRL_FEATURE_CACHE_GB'
"""Environment variable for the size of the folder, in 10^9 bytes."""
DEFAULT_LIMIT_GB = 4.0

_SUFFIX = '.safetensors'
_DIGEST_DIGITS = 32
# A file for each image would cost two waits for the disk an image.
_IMAGES_A_FILE = 32
# How often the files of other processes are looked for.
_REFRESH_S = 1.0
# What computes the features beside the weights and the packages.
_SOURCES = (
    *sorted((Path(__file__).parents[2] / 'clip').glob('*.py')),
    Path(__file__).with_name('clip_vision_backbone.py'),
)


class FeatureCache:
    """Computes the features of an image once, and then reads them.

    An image is known by its pixels as they reach the tower: whatever comes before it,
    as a flip, has features of its own, and a random step that never gives the same
    pixels twice finds nothing. Each image is computed by itself, since what it is
    batched with changes the last bits of a result, and two runs would differ by which
    of them filled the cache.

    Features are kept whole. What is damaged is computed anew; this is looked at when an
    entry is first read. Files are mapped into memory, which processes share. A copied
    or pickled model starts with nothing read.

    Args:
        folder: Where the files are; made if it does not exist.
        limit_gb: Size of the folder, in 10^9 bytes, up to which files are written.
            What is not kept is computed each time.
    """

    def __init__(self, folder: str | os.PathLike, limit_gb: float) -> None:
        self.folder = Path(folder).expanduser()
        self.limit_gb = limit_gb
        self._pending: dict[str, list[Tensor]] = {}
        self._opened: set[str] = set()
        self._places: dict[str, safe_open] = {}
        # How many features an entry has that was found to be whole. The tensors
        # themselves would be small pieces of memory that stay between large ones that
        # go: by them the heap grew with every image.
        self._whole: dict[str, int] = {}
        self._next_refresh = 0.0
        self._writes = True

    @classmethod
    def from_environment(cls) -> FeatureCache | None:
        """The cache that :data:`FOLDER_VARIABLE` names; None where it names none.

        Raises:
            ValueError: :data:`LIMIT_VARIABLE` is no positive number.
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
        return cls(folder, limit)

    def __reduce__(self) -> tuple:
        return FeatureCache, (self.folder, self.limit_gb)

    def features(
        self,
        images: Tensor,
        tower: str,
        compute: Callable[[Tensor], Sequence[Tensor]],
    ) -> tuple[Tensor, ...]:
        """Features of a batch, read or computed.

        Args:
            images: (B, 3, H, W) on the CPU, as they reach the tower.
            tower: Fingerprint of all else that the features depend on.
            compute: Gives the features of (1, 3, H, W), each of shape (1, ...).
        """
        rows = [self._row(image[None], tower, compute) for image in images]
        return tuple(torch.cat(parts) for parts in zip(*rows))

    def _row(
        self, image: Tensor, tower: str, compute: Callable[[Tensor], Sequence[Tensor]]
    ) -> Sequence[Tensor]:
        key = digest(str((tower, image.dtype, tuple(image.shape))), image)
        found = self._pending.get(key) or self._read(key)
        if found is None:
            found = [feature.contiguous() for feature in compute(image)]
            if self._writes:
                self._pending[key] = found
                if len(self._pending) >= _IMAGES_A_FILE:
                    self.flush()
        return found

    def _read(self, key: str) -> list[Tensor] | None:
        if key not in self._places:
            self._refresh()
        file = self._places.get(key)
        if file is None:
            return None
        count = self._whole.get(key) or _count_if_whole(file, key)
        if not count:
            return None
        self._whole[key] = count
        return [file.get_tensor(f'{key}.{number}') for number in range(count)]

    def _refresh(self) -> None:
        """Open the files that have come since the last look."""
        from safetensors import SafetensorError, safe_open

        if time.monotonic() < self._next_refresh:
            return
        self._next_refresh = time.monotonic() + _REFRESH_S
        for path in sorted(self.folder.glob(f'[!.]*{_SUFFIX}')):
            if path.name in self._opened:
                continue
            self._opened.add(path.name)
            try:
                file = safe_open(path, framework='pt')
                keys = list(file.metadata() or {})
            except (OSError, SafetensorError):
                continue
            self._places.update((key, file) for key in keys)

    def flush(self) -> None:
        """Write what was computed; files hold some images each, the last ones fewer."""
        from safetensors.torch import save

        pending, self._pending = self._pending, {}
        if not pending:
            return
        tensors = {
            f'{key}.{number}': feature
            for key, features in pending.items()
            for number, feature in enumerate(features)
        }
        facts = {key: digest('', *features) for key, features in pending.items()}
        content = save(tensors, facts)
        problem = None
        try:
            used = _size(self.folder.glob(f'*{_SUFFIX}'))
            if used + len(content) > self.limit_gb * 1e9:
                problem = (
                    f'it has reached {self.limit_gb:g} GB: delete it, with what other '
                    f'versions and towers left there, or set {LIMIT_VARIABLE} to more'
                )
            else:
                write_bytes(self.folder / f'{secrets.token_hex(8)}{_SUFFIX}', content)
        except OSError as error:
            problem = str(error)
        if problem is not None:
            self._writes = False
            warnings.warn(
                f'{self.folder}: no further features of the frozen tower are kept, '
                f'they are computed each time ({problem}).',
                stacklevel=2,
            )


def _size(paths: Iterable[Path]) -> int:
    """Bytes of the files that are there."""
    size = 0
    for path in paths:
        # The folder may be deleted at any time, and what another process is writing
        # gets its final name.
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def _count_if_whole(file: safe_open, key: str) -> int:
    """The number of an entry's features; 0 where they are not what was written."""
    from safetensors import SafetensorError

    features: list[Tensor] = []
    try:
        names = file.keys()
        while f'{key}.{len(features)}' in names:
            features.append(file.get_tensor(f'{key}.{len(features)}'))
    except SafetensorError:
        return 0
    whole = features and digest('', *features) == file.metadata()[key]
    return len(features) if whole else 0


@functools.cache
def code_digest() -> str:
    """A name for the code that computes features: another version has its own."""
    import open_clip
    import timm

    sources = [path.read_bytes() for path in _SOURCES]
    versions = [module.__version__ for module in (torch, open_clip, timm)]
    return digest(repr((sources, versions)))


def digest(text: str, *tensors: Tensor) -> str:
    """A name for contents, which no other contents have.

    Args:
        text: Part of the contents.
        tensors: The rest, on the CPU.
    """
    # Processors have instructions for it: half the time of BLAKE2.
    state = hashlib.sha256(text.encode(), usedforsecurity=False)
    for tensor in tensors:
        state.update(str((tensor.dtype, tuple(tensor.shape))).encode())
        # As bytes: NumPy has no bfloat16.
        content = tensor.detach().contiguous().flatten().view(torch.uint8)
        state.update(content.numpy().data)
    return state.hexdigest()[:_DIGEST_DIGITS]
