"""A checkpoint as a run leaves it, of a small model, without the run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

CONFIG = (
    'configs/mcdrl/mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128_'
    'heldout-polypgen-c1.py'
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def tiny_config(repo_root) -> Path:
    return repo_root / CONFIG


@pytest.fixture(scope='session')
def new_model(tiny_config):
    """Makes the small model with a dictionary, weights drawn from a seed.

    All weights are large enough for the intervention to change predictions, and for
    confounders to differ.
    """

    def make(**head_options) -> torch.nn.Module:
        init_default_scope('mmseg')
        cfg = Config.fromfile(tiny_config)
        cfg.merge_from_dict(dict(model=dict(decode_head=head_options)))
        with torch.random.fork_rng():
            torch.manual_seed(3)
            model = MODELS.build(cfg.model)
            for value in model.decode_head.parameters():
                if value.ndim > 1:
                    torch.nn.init.normal_(value, std=1.5 * value[0].numel() ** -0.5)
            head = model.decode_head
            if head.intervention is not None:
                # Else all positions would attend nearly alike.
                for layer in head.intervention.layers:
                    layer.query.weight.data *= 20
            # Fresh norms let so little through that all positions would be alike.
            for module in model.backbone.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = None
            with torch.no_grad():
                model.backbone.train()(torch.randn(4, 3, 128, 128))
            texts = torch.randn(len(head.dictionary.texts), 128)
            head.dictionary.fill(torch.nn.functional.normalize(texts, dim=1), 'ab' * 32)
        model.cfg = cfg
        return model.eval()

    return make


@pytest.fixture(scope='session')
def checkpoint_content(new_model):
    """Makes what MMEngine would save of a model."""

    def make(model=None) -> dict:
        model = model or new_model()
        history = HistoryBuffer()
        history.update(1.5)
        return dict(
            meta=dict(
                epoch=1,
                cfg=model.cfg.pretty_text,
                dataset_meta=dict(
                    classes=('background', 'lesion'), palette=[[0, 0, 0], [255, 0, 0]]
                ),
            ),
            message_hub=dict(
                log_scalars={'train/loss': history},
                runtime_info={'iter': np.float64(3.0)},
            ),
            state_dict=model.state_dict(),
        )

    return make


@pytest.fixture(scope='session')
def tiny_checkpoint(tmp_path_factory, checkpoint_content) -> Path:
    """Its config is inside; the message hub holds MMEngine's histories."""
    path = tmp_path_factory.mktemp('checkpoint') / 'tiny.pth'
    torch.save(checkpoint_content(), path)
    return path


@pytest.fixture(scope='session')
def picture() -> np.ndarray:
    """(90, 120, 3) uint8, blue first, of coarse noise."""
    noise = np.random.default_rng(4).integers(0, 256, (9, 12, 3), np.uint8)
    return noise.repeat(10, axis=0).repeat(10, axis=1)
