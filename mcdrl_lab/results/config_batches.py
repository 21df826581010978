"""Images of a config's data loaders, in batches."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mcdrl_common.config_datasets import plain_datasets, type_name

if TYPE_CHECKING:
    from mmengine.config import Config

LOADERS = ('train', 'val', 'test')


def batches(cfg: Config, loaders: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Batches of some loaders of a config, one loader after another.

    Training images come through the test pipeline: neither flipped nor jittered,
    and every one of them.

    Args:
        cfg: The config; it is left as it is.
        loaders: Of :data:`LOADERS`.

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
        # What is read once needs no workers that stay.
        loader.persistent_workers = False
        if name == 'train':
            if 'test_pipeline' not in cfg:
                raise ValueError('training images need test_pipeline in the config.')
            for part in plain_datasets(loader.dataset):
                own = [
                    t for t in part.get('pipeline') or () if type_name(t) == 'SetSite'
                ]
                part['pipeline'] = [*own, *cfg.test_pipeline]
            # Its images may differ in size, as a test's do.
            loader.batch_size = (cfg.get('test_dataloader') or {}).get('batch_size', 1)
            loader.sampler = dict(type='DefaultSampler', shuffle=False)
            loader.pop('batch_sampler', None)
            loader.drop_last = False
        yield from Runner.build_dataloader(loader)
