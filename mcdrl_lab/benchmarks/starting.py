"""How long the dictionary takes at a start whose cache is warm."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mmengine.logging import MMLogger

from mcdrl_lab.errors import ProtocolError
from mcdrl_mmseg.engine.hooks import ConfounderDictionaryHook
from mcdrl_mmseg.models import ConfounderDictionary

from .models import Subject
from .timing import spread

_ROUNDS = 5


def measure_start(subject: Subject) -> dict[str, Any]:
    """Time :class:`ConfounderDictionaryHook` with a cold and with a warm cache.

    Args:
        subject: A config of MCDRL; random weights stand for its own.

    Returns:
        ``name``, ``cold`` (with the text tower) and ``warm`` (median and quartiles), in
        milliseconds.

    Raises:
        ProtocolError: The model has no dictionary.
    """
    import numpy as np

    model = subject.build()
    modules = model.modules()
    dictionary = next((m for m in modules if isinstance(m, ConfounderDictionary)), None)
    if dictionary is None:
        raise ProtocolError(f'--mode start: {subject.name} has no dictionary.')
    runner = SimpleNamespace(
        model=model,
        iter=0,
        logger=MMLogger.get_current_instance(),
        train_dataloader=SimpleNamespace(dataset=[]),
    )
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(1 + _ROUNDS):
            dictionary.built.fill_(False)
            dictionary._known_built = False
            hook = ConfounderDictionaryHook(cache_dir=str(Path(folder)))
            start = time.perf_counter()
            hook.before_train(runner)
            times.append(1000 * (time.perf_counter() - start))
    warm = spread(np.array(times[1:]))
    return dict(name=subject.name, cold=times[0], warm=warm.record())
