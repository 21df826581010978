"""A pool of simulated scenes in memory-mapped files, drawn once."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mcdrl_common.atomic_write import write_text
from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.sampling import sample_scene
from mcdrl_lab.simulation.scene import CONFOUNDERS, LESION_CLASSES

from .captions import HEALTHY

_CHUNK = 500
_PROCESS_START = 'spawn'


@dataclass(frozen=True)
class PoolSettings:
    """What a pool is made from.

    Its scenes belong to no site: their confounders do not depend on the lesion, and no
    benchmark contains them, whatever its seed.

    Args:
        count: Number of scenes.
        size: Height and width in pixels.
        seed: Number of the pool.
    """

    count: int
    size: int = 128
    seed: int = 0


@dataclass(frozen=True)
class ScenePool:
    """Scenes as arrays.

    Args:
        images: (n, size, size, 3) uint8, red first.
        masks: (n, size, size) bool, lesion or not.
        lesions: (n,) int64, number of the lesion class, or ``HEALTHY``.
        conditions: (n, M) bool, which confounders a scene has.
    """

    images: np.ndarray
    masks: np.ndarray
    lesions: np.ndarray
    conditions: np.ndarray


def draw_chunk(settings: PoolSettings, start: int) -> tuple[np.ndarray, ...]:
    """Draw some scenes of a pool.

    Args:
        settings: The pool.
        start: Number of the first scene; at most 500 are drawn.

    Returns:
        The arrays of :class:`ScenePool`.
    """
    cv2.setNumThreads(1)
    count = min(_CHUNK, settings.count - start)
    images = np.empty((count, settings.size, settings.size, 3), np.uint8)
    masks = np.empty((count, settings.size, settings.size), bool)
    lesions = np.full(count, HEALTHY)
    conditions = np.zeros((count, len(CONFOUNDERS)), bool)
    for row in range(count):
        scene = sample_scene(settings.seed, start + row)
        images[row], mask = draw(scene, size=settings.size)
        masks[row] = mask > 0
        conditions[row] = [strength > 0 for _, strength in scene.confounders.items()]
        if scene.lesion is not None:
            lesions[row] = LESION_CLASSES.index(scene.lesion.name)
    return images, masks, lesions, conditions


def draw_pool(settings: PoolSettings) -> ScenePool:
    """Draw a small pool in this process.

    Args:
        settings: The pool.
    """
    starts = range(0, settings.count, _CHUNK)
    chunks = [draw_chunk(settings, start) for start in starts]
    return ScenePool(*(np.concatenate(parts) for parts in zip(*chunks)))


def open_pool(
    settings: PoolSettings,
    folder: str | os.PathLike,
    processes: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ScenePool:
    """Open a pool, drawing it first if it is not there.

    Args:
        settings: The pool.
        folder: Folder of its files; another pool in it is replaced.
        processes: Number of processes that draw.
        progress: Called with the number of drawn scenes and the total.

    Returns:
        The pool, memory-mapped from the files.
    """
    folder = Path(folder)
    done = folder / 'pool.json'
    text = json.dumps(asdict(settings))
    names = ('images', 'masks', 'lesions', 'conditions')
    if not done.is_file() or done.read_text(encoding='utf-8') != text:
        done.unlink(missing_ok=True)
        _draw_files(settings, folder, names, processes, progress)
        # Written last: it marks the pool as complete.
        write_text(done, text)
    return ScenePool(*(np.load(folder / f'{n}.npy', mmap_mode='r') for n in names))


@contextlib.contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable]]:
    """A ``map`` that runs in this process or in several."""
    if processes == 1:
        yield map
        return
    context = multiprocessing.get_context(_PROCESS_START)
    with context.Pool(processes) as pool:
        yield pool.imap


def _draw_files(
    settings: PoolSettings,
    folder: Path,
    names: tuple[str, ...],
    processes: int,
    progress: Callable[[int, int], None],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, settings.count, _CHUNK)
    arrays: dict[str, np.memmap] = {}
    with _mapping(processes) as map_chunks:
        chunks = map_chunks(partial(draw_chunk, settings), starts)
        for start, chunk in zip(starts, chunks):
            for name, part in zip(names, chunk):
                if name not in arrays:
                    shape = (settings.count, *part.shape[1:])
                    arrays[name] = np.lib.format.open_memmap(
                        folder / f'{name}.npy', 'w+', part.dtype, shape
                    )
                arrays[name][start : start + len(part)] = part
            progress(start + len(chunk[0]), settings.count)
    for array in arrays.values():
        array.flush()
