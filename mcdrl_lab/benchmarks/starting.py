"""Time to build the dictionary at the start of a training, with and without cache."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from mcdrl_lab.errors import ProtocolError
from mcdrl_mmseg.engine.hooks import ConfounderDictionaryHook
from mcdrl_mmseg.models import ConfounderDictionary

from .latency import spread, time_in_turns
from .models import Subject

_ROUNDS = 5


def measure_start(subject: Subject) -> dict[str, Any]:
    """Time :class:`ConfounderDictionaryHook` with a cold and with a warm cache.

    Args:
        subject: A config of MCDRL; random weights replace its own.

    Returns:
        ``name``, ``cold`` (with the text tower) and ``warm`` (median and quartiles), in
        milliseconds.

    Raises:
        ProtocolError: The model has no dictionary.
    """
    model = subject.build()
    modules = model.modules()
    dictionary = next((m for m in modules if isinstance(m, ConfounderDictionary)), None)
    if dictionary is None:
        raise ProtocolError(
            f'--mode start: {subject.name} has no confounder dictionary.'
        )
    runner = SimpleNamespace(
        model=model,
        iter=0,
        logger=MMLogger.get_current_instance(),
        train_dataloader=SimpleNamespace(dataset=[]),
    )
    with tempfile.TemporaryDirectory() as folder:

        def start() -> None:
            dictionary.built.fill_(False)
            dictionary._built_flag = False
            ConfounderDictionaryHook(cache_dir=folder).before_train(runner)

        (cold,), *warm = time_in_turns([start], 1 + _ROUNDS, warm_up=0)
    return dict(
        name=subject.name, cold=float(cold), warm=asdict(spread(np.array(warm)))
    )
