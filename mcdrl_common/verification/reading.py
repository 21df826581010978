"""Reads all files that are not in the cache, in several processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from mcdrl_common.tracked import tracked

from .entry import Entry
from .facts import Facts, are_image_facts, are_mask_facts, image_facts, mask_facts
from .facts_cache import FactsCache, Stamp, stamp
from .listing import VerificationError

# For fewer files, starting a process costs more time than it saves.
_FILES_A_PROCESS = 64
_CHUNK = 16

_LAYOUTS: dict[Callable[[Path], Facts], Callable[[Any], bool]] = {
    image_facts: are_image_facts,
    mask_facts: are_mask_facts,
}

Task = tuple[Callable[[Path], Facts], Path]


def default_jobs() -> int:
    """Number of processors for this process; ranks of one machine share them."""
    if hasattr(os, 'sched_getaffinity'):
        usable = len(os.sched_getaffinity(0))
    else:
        usable = os.cpu_count() or 1
    return max(1, usable // int(os.environ.get('LOCAL_WORLD_SIZE', '1')))


def read_facts(
    entries: Iterable[Entry],
    cache: FactsCache,
    jobs: int,
    closed: Collection[str] = (),
) -> tuple[dict[Path, Facts], int]:
    """Facts of every image and mask.

    Args:
        entries: Images with their masks; a file may occur in several entries.
        cache: Cache of facts; new facts are added.
        jobs: Number of processes.
        closed: Splits whose files are not opened: only cached facts are used.

    Returns:
        File -> its facts, and the number of files that were read.

    Raises:
        VerificationError: A reading process was killed.
    """
    readers: dict[Path, Callable[[Path], Facts]] = {}
    may_open = set()
    for entry in entries:
        readers[entry.image] = image_facts
        readers[entry.mask] = mask_facts
        if entry.split not in closed:
            may_open |= {entry.image, entry.mask}
    facts = cache.read({path: _LAYOUTS[reader] for path, reader in readers.items()})
    tasks: list[Task] = [
        (reader, path)
        for path, reader in readers.items()
        if path in may_open and path not in facts
    ]
    stamped: dict[Path, tuple[Stamp, Facts]] = {}
    for path, before, found in _results(tasks, jobs):
        facts[path] = found
        if before is not None:
            stamped[path] = before, found
    try:
        cache.write(stamped)
    except OSError as error:
        logging.getLogger(__name__).warning(
            'What was read from the data set could not be cached in %s (%s). The next '
            'check reads it again.',
            cache.folder,
            error,
        )
    return facts, len(tasks)


def _results(
    tasks: Sequence[Task], jobs: int
) -> Iterable[tuple[Path, Stamp | None, Facts]]:
    shown: dict[str, Any] = dict(
        description='Reading files',
        total=len(tasks),
        shown=len(tasks) >= _FILES_A_PROCESS,
    )
    jobs = min(jobs, len(tasks) // _FILES_A_PROCESS)
    if jobs <= 1:
        yield from tracked(map(_read, tasks), **shown)
        return
    # Fork, like dataloaders: the children use no GPU and start no threads, and share
    # imported modules (PyTorch, in a training). Windows cannot fork.
    can_fork = 'fork' in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context('fork' if can_fork else None)
    try:
        with ProcessPoolExecutor(jobs, mp_context=context) as pool:
            yield from tracked(pool.map(_read, tasks, chunksize=_CHUNK), **shown)
    except BrokenProcessPool:
        raise VerificationError(
            'a process that reads images was killed, perhaps because memory ran out. '
            'Try again with --jobs 1.'
        ) from None


def _read(task: Task) -> tuple[Path, Stamp | None, Facts]:
    reader, path = task
    before = stamp(path)
    facts = {'vanished': True} if before is None else reader(path)
    return path, before, facts
