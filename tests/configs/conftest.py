"""Configs of the repository, on generated images."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
import torch
from few_blocks import few_blocks
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS
from step_in_backward import step_in_backward


@pytest.fixture(autouse=True)
def default_site(monkeypatch):
    """Configs hold out their own site, whatever the environment of the shell sets."""
    monkeypatch.delenv('MCDRL_HELD_OUT', raising=False)


@pytest.fixture(autouse=True)
def mmseg_scope():
    """Configs name components without a prefix, as in a runner."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture
def draw_pairs():
    """Writes images and their masks of the given values."""

    def draw(images: Path, masks: Path, names: list, values: list[list[int]]) -> None:
        """Write.

        Args:
            images: Folder.
            masks: Folder.
            names: Image and mask file names, pair by pair.
            values: Values that occur in each mask, in equal stripes.
        """
        rng = np.random.default_rng(len(names))
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for (image, mask), stripes in zip(names, values):
            picture = rng.integers(0, 256, (40, 48, 3)).astype(np.uint8)
            rows = np.array(stripes)[np.arange(40) * len(stripes) // 40]
            cv2.imwrite(str(images / image), picture)
            labels = np.repeat(rows[:, None], 48, axis=1).astype(np.uint8)
            cv2.imwrite(str(masks / mask), labels)

    return draw


def _without_weights(cfg):
    """The same config with random weights in the place of files."""
    if isinstance(cfg, Mapping):
        return {k: None if k == 'pretrained' else _without_weights(cfg[k]) for k in cfg}
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(_without_weights(part) for part in cfg)
    return cfg


def _resized(pipeline: list, size: int) -> list:
    return [{**t, 'scale': (size, size)} if 'scale' in t else t for t in pipeline]


@pytest.fixture(scope='session')
def load_config(repo_root):
    """Loads a config: ``load_config('mcdrl/NAME.py', 64, held_out='drive')``."""

    def load(
        name: str, image_size: int | None = None, held_out: str | None = None
    ) -> Config:
        with pytest.MonkeyPatch.context() as patch:
            if held_out is not None:
                patch.setenv('MCDRL_HELD_OUT', held_out)
            cfg = Config.fromfile(repo_root / 'configs' / name)
        if image_size is not None:
            for loader in ('train', 'val', 'test'):
                dataset = cfg[f'{loader}_dataloader'].dataset
                for part in dataset.get('datasets', [dataset]):
                    part.pipeline = _resized(part.pipeline, image_size)
        return cfg

    return load


@pytest.fixture
def datasets_of():
    """Builds the three datasets of a config, by the names of their loaders."""

    def build(cfg: Config) -> dict:
        return {
            name: DATASETS.build(cfg[f'{name}_dataloader'].dataset)
            for name in ('train', 'val', 'test')
        }

    return build


@pytest.fixture
def model_of():
    """Builds a config's model with random weights and, if any, dictionary."""

    def build(cfg: Config) -> torch.nn.Module:
        torch.manual_seed(0)
        model = MODELS.build(Config(_without_weights(cfg.to_dict())).model)
        dictionary = getattr(model.decode_head, 'dictionary', None)
        if dictionary is not None:
            texts = torch.randn(len(dictionary.texts), dictionary.embed_dims)
            dictionary.fill(torch.nn.functional.normalize(texts, dim=1), '0' * 64)
        return model

    return build


@pytest.fixture
def step():
    """Takes one training step on two images; returns the losses as numbers."""

    def take(cfg: Config, model: torch.nn.Module, dataset) -> dict[str, float]:
        optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        batch = pseudo_collate([dataset[0], dataset[len(dataset) - 1]])
        model.train()
        with mock.patch.object(
            optim_wrapper, 'update_params', partial(step_in_backward, optim_wrapper)
        ):
            losses = model.train_step(batch, optim_wrapper)
        return {key: float(value.detach()) for key, value in losses.items()}

    return take
