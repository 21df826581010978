"""Images of a config's data loaders, in batches."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mcdrl_common.config_datasets import plain_datasets, type_name

if TYPE_CHECKING:
    from mmengine.config import Config

LOADERS = ('train', 'val', 'test')


def batches(cfg: Config, loaders: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Batches of some loaders of a config, one loader after another.

    Training images pass through the test pipeline, without augmentation, and none is
    left out.

    Args:
        cfg: The config; not modified.
        loaders: Names from :data:`LOADERS`.

    Raises:
        ValueError: The config has no such loader.
    """
    from mmengine.registry import init_default_scope
    from mmengine.runner import Runner

    init_default_scope(cfg.get('default_scope', 'mmseg'))
    for name in loaders:
        loader = cfg.get(f'{name}_dataloader')
        if not loader:
            raise ValueError(f'the config has no {name}_dataloader.')
        loader = copy.deepcopy(loader)
        # The data are read only once.
        loader.persistent_workers = False
        if name == 'train':
            if 'test_pipeline' not in cfg:
                raise ValueError(
                    'the config has no test_pipeline, which prepares the training '
                    'images here.'
                )
            for part in plain_datasets(loader.dataset):
                own = [
                    t for t in part.get('pipeline') or () if type_name(t) == 'SetSite'
                ]
                part['pipeline'] = [*own, *cfg.test_pipeline]
            # Without cropping its images may differ in size, as those of a test.
            loader.batch_size = (cfg.get('test_dataloader') or {}).get('batch_size', 1)
            loader.sampler = dict(type='DefaultSampler', shuffle=False)
            loader.pop('batch_sampler', None)
            loader.drop_last = False
        yield from Runner.build_dataloader(loader)


def each_once(loaded: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Skip images that an earlier batch contained.

    Two loaders may share images, as validation and test do if no site is held out, and
    dataset wrappers may repeat them.

    Args:
        loaded: Batches from :func:`batches`. Images without a path are kept.

    Yields:
        Batches without repeated images; empty ones are left out.
    """
    seen: set[str] = set()
    for batch in loaded:
        kept = []
        for place, sample in enumerate(batch['data_samples']):
            path = sample.get('img_path')
            if path is None or path not in seen:
                kept.append(place)
                seen.add(path)
        if len(kept) == len(batch['data_samples']):
            yield batch
        elif kept:
            yield {key: [part[i] for i in kept] for key, part in batch.items()}
