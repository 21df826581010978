"""The data sets, metrics and classes that an experiment config names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def plain_datasets(dataset: Any) -> Iterator[dict]:
    """Like :func:`datasets`, but without wrappers.

    Args:
        dataset: As for :func:`datasets`.
    """
    for part in datasets(dataset):
        if not (part.get('dataset') or part.get('datasets')):
            yield part


def site_names(loader: Mapping) -> list[str]:
    """Names of the sites whose images a dataloader uses.

    Args:
        loader: Its config. Sites with ``split='val'`` do not count.
    """
    names: list[Any] = []
    for part in datasets(loader.get('dataset')):
        if part.get('split') != 'val':
            sites = part.get('sites')
            for site in sites if isinstance(sites, list | tuple) else ():
                names.append(site.get('name') if isinstance(site, dict) else site)
    return [name for name in dict.fromkeys(names) if isinstance(name, str)]


def inference_pipeline(cfg: Mapping[str, Any]) -> list:
    """The pipeline of a test or prediction.

    Args:
        cfg: Experiment config.

    Returns:
        ``test_pipeline``, else that of the test data set; empty if there is none.
    """
    steps = cfg.get('test_pipeline')
    if steps is None:
        dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
        steps = dataset.get('pipeline')
    return list(steps or ())


def evaluators(evaluator: Any) -> list[dict]:
    """The metrics of an evaluator's config, in any of its forms.

    Args:
        evaluator: One metric, a list of them, an ``Evaluator`` with ``metrics``, or
            None.
    """
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    return [evaluator] if isinstance(evaluator, dict) else list(evaluator or ())


def type_name(entry: Mapping[str, Any]) -> str:
    """Name of a class without its scope or module.

    Args:
        entry: Config whose ``type`` is ``'Resize'``, ``'mmseg.Resize'``,
            ``'mmcv.transforms.Resize'``, or the class itself, as in MMEngine's pure
            Python configs. Without ``type`` the name is empty.
    """
    kind = entry.get('type') or ''
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]
