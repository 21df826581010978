"""The data sets and metrics that an experiment config names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def datasets(dataset: Any) -> Iterator[dict]:
    """Walk through a dataset config and all that it wraps.

    Args:
        dataset: Config of a dataset or of a wrapper around one or several.

    Yields:
        The config itself and every config under ``dataset`` and ``datasets``.
    """
    if isinstance(dataset, dict):
        yield dataset
        yield from datasets(dataset.get('dataset'))
        for part in dataset.get('datasets') or ():
            yield from datasets(part)


def evaluators(evaluator: Any) -> list[dict]:
    """The metrics of an evaluator's config, however it is written.

    Args:
        evaluator: One metric, a list of them, an ``Evaluator`` with ``metrics``, or
            None.
    """
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    return [evaluator] if isinstance(evaluator, dict) else list(evaluator or ())
