"""CachedLoading: a folder with decoded and resized images."""

from __future__ import annotations

import ast
import hashlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmseg.registry import TRANSFORMS

# Deterministic transforms; results of random ones must not be cached.
CACHEABLE = ('LoadImageFromFile', 'LoadAnnotations', 'LoadLesionMask', 'Resize')
PATHS = ('img_path', 'seg_map_path')
_KEY = 'results'


@TRANSFORMS.register_module()
class CachedLoading(BaseTransform):
    """Run the loading steps of a pipeline once for each image, then read the result.

    The result of an image is one file. Its name is a hash of everything that it depends
    on: the steps, and paths, sizes and modification times of image and mask. Workers,
    processes and later runs share the files, which the system's page cache holds in
    memory. Files are written atomically, and each read returns new arrays, which later
    steps may change in place.

    The files are uncompressed copies of the images, 0.2 MB each at 224 x 224. If images
    are confidential, protect the folder like the data set.

    Args:
        transforms: Configs of the steps, all in :data:`CACHEABLE`.
        folder: Folder of the results; made if it does not exist.

    Raises:
        ValueError: A step is not deterministic.

    Examples:
        >>> train_pipeline = [
        ...     dict(
        ...         type='CachedLoading',
        ...         transforms=[
        ...             dict(type='LoadImageFromFile'),
        ...             dict(type='LoadLesionMask'),
        ...             dict(type='Resize', scale=(224, 224))],
        ...         folder='work_dirs/cached_images'),
        ...     dict(type='RandomFlip', prob=0.5),
        ...     dict(type='PackSegInputs')]
    """

    def __init__(self, transforms: Sequence[dict], folder: str) -> None:
        for step in transforms:
            if not is_cacheable(step):
                raise ValueError(
                    f'CachedLoading: {step} cannot be cached; only {CACHEABLE} can. '
                    'Put it after CachedLoading in the pipeline.'
                )
        self.folder = Path(folder).expanduser()
        self.transforms = Compose([dict(step) for step in transforms])
        self._steps = repr([sorted(dict(step).items()) for step in transforms])

    def transform(self, results: dict) -> dict:
        """Load an image from the folder, or from its own file."""
        path = self.folder / f'{self._name(results)}.safetensors'
        found = _read(path)
        if found is not None:
            return {**results, **found}
        given = dict(results)
        results = self.transforms(results)
        try:
            _write(path, results, given)
        except OSError as error:
            warnings.warn(
                f'CachedLoading: {path} could not be written ({error}). The image is '
                'loaded from its own file each time.',
                stacklevel=2,
            )
        return results

    def _name(self, results: dict) -> str:
        # The index of a sample says nothing about its image.
        facts = [(k, repr(results[k])) for k in sorted(results) if k != 'sample_idx']
        for key in PATHS:
            if results.get(key) is not None:
                status = os.stat(results[key])
                facts.append((key, f'{status.st_size} {status.st_mtime_ns}'))
        return hashlib.sha256(repr((self._steps, facts)).encode()).hexdigest()[:40]

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(transforms={self.transforms}, '
            f'folder={str(self.folder)!r})'
        )


def is_cacheable(step: dict) -> bool:
    """Whether a step of a pipeline is deterministic.

    Args:
        step: The step's config.
    """
    return step.get('type') in CACHEABLE


def cache_leading(pipeline: Sequence[dict], folder: str) -> list[dict]:
    """Replace the cacheable steps at the start of a pipeline by :class:`CachedLoading`.

    Args:
        pipeline: Configs of all steps.
        folder: Folder of the results.

    Raises:
        ValueError: The first step cannot be cached.
    """
    count = 0
    while count < len(pipeline) and is_cacheable(pipeline[count]):
        count += 1
    if count == 0:
        raise ValueError(
            f'cache_dir={folder!r}: the pipeline must begin with steps that can be '
            f'cached, {CACHEABLE}, but it begins with {list(pipeline[:1])}.'
        )
    first = dict(type='CachedLoading', transforms=list(pipeline[:count]), folder=folder)
    return [first, *pipeline[count:]]


def _write(path: Path, results: dict, given: dict) -> None:
    from safetensors.numpy import save_file

    from mcdrl_common.atomic_write import atomic_write

    arrays, values = {}, {}
    for key, value in results.items():
        if isinstance(value, np.ndarray):
            arrays[key] = np.ascontiguousarray(value)
        elif value is not given.get(key) or isinstance(value, list):
            values[key] = value
    with atomic_write(path) as temporary:
        save_file(arrays, temporary, {_KEY: repr(values)})


def _read(path: Path) -> dict | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='np') as file:
            arrays = {key: np.array(file.get_tensor(key)) for key in file.keys()}  # noqa: SIM118
            return {**ast.literal_eval((file.metadata() or {})[_KEY]), **arrays}
    except (OSError, SafetensorError, KeyError, ValueError, SyntaxError):
        # Absent, damaged or another format: it is written again.
        return None
