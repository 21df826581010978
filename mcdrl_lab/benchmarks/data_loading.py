"""Throughput of data loading, in images per second."""

from __future__ import annotations

import copy
import time
from typing import Any

from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mcdrl_common.sites import SiteDataError
from mcdrl_lab.errors import ProtocolError

from .models import Subject

_BATCHES = 12


def measure_loading(subject: Subject, cache_dir: str | None = None) -> dict[str, Any]:
    """Time the config's own data loader, without a model.

    Args:
        subject: A config with ``train_dataloader``.
        cache_dir: Folder of decoded images. A first epoch, which is not timed, writes
            them.

    Returns:
        ``name``, ``images_per_second`` and ``workers``.

    Raises:
        ProtocolError: The config has no training data, only a single batch, or the data
            are missing.
    """
    cfg = copy.deepcopy(subject.cfg.get('train_dataloader'))
    if cfg is None:
        raise ProtocolError(f'{subject.name}: no train_dataloader in the config.')
    init_default_scope('mmseg')
    if cache_dir is not None:
        cfg.dataset.cache_dir = cache_dir
    try:
        loader = Runner.build_dataloader(cfg, seed=0)
    except (SiteDataError, OSError) as error:
        raise ProtocolError(f'{subject.name}: {error}') from error
    if cache_dir is not None:
        for _ in loader:
            pass
    batches = iter(loader)
    next(batches)  # the workers have started now
    count, start = 0, time.perf_counter()
    for _, batch in zip(range(_BATCHES), batches):
        count += len(batch['inputs'])
    seconds = time.perf_counter() - start
    if not count:
        raise ProtocolError(
            f'{subject.name}: the training data are a single batch, and the first '
            'batch is not timed. Set a smaller train_dataloader.batch_size.'
        )
    return dict(
        name=subject.name + (' (cached)' if cache_dir else ''),
        images_per_second=count / seconds,
        workers=cfg.num_workers,
    )
