"""Very small models, and files exported from them."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from noise_images import new_pixels

_CONFIG = 'configs/mcdrl/mcdrl_clip-{}_endoscopy-sites-128x128.py'
TOWERS = {'rn': 'tiny-rn_segformer_5e', 'vit': 'tiny-vit_fcn_5e'}


@pytest.fixture(scope='session')
def draw_head():
    """Gives a head weights large enough to matter, and a dictionary."""

    def draw(head: torch.nn.Module) -> None:
        for value in head.parameters():
            if value.ndim > 1:
                torch.nn.init.normal_(value, std=1.5 * value[0].numel() ** -0.5)
        texts = torch.randn(len(head.dictionary.texts), 128)
        head.dictionary.fill(torch.nn.functional.normalize(texts, dim=1), 'ab' * 32)

    return draw


@pytest.fixture(scope='session')
def new_model(repo_root, draw_head):
    """Makes a model with a dictionary: ``new_model('vit', **head_options)``.

    ``backbone`` holds options of the backbone. A ViT is cut to two blocks: the time of
    an export grows with the number of layers.
    """

    def make(
        tower: str, backbone: dict | None = None, **head_options
    ) -> torch.nn.Module:
        init_default_scope('mmseg')
        cfg = Config.fromfile(repo_root / _CONFIG.format(TOWERS[tower]))
        options = dict(intervention=dict(num_layers=1)) | head_options
        cfg.merge_from_dict(
            dict(model=dict(backbone=backbone or {}, decode_head=options))
        )
        with torch.random.fork_rng():
            torch.manual_seed(3)
            model = MODELS.build(cfg.model)
            draw_head(model.decode_head)
        if tower == 'vit':
            blocks = model.backbone.tower.transformer
            blocks.resblocks = blocks.resblocks[:2]
        model.cfg = cfg
        model.dataset_meta = dict(classes=('background', 'lesion'))
        return model.eval()

    return make


@pytest.fixture(scope='session')
def vit(new_model):
    return new_model('vit')


@pytest.fixture(scope='session')
def resnet(new_model):
    """With the orthogonal residual, which removes the span of the confounders."""
    intervention = dict(num_layers=1, residual='orthogonal')
    return new_model('rn', intervention=intervention)


@pytest.fixture
def unbuilt(vit):
    """A copy whose dictionary is empty."""
    model = copy.deepcopy(vit)
    dictionary = model.decode_head.dictionary
    dictionary.load_state_dict({'built': torch.tensor(False)}, strict=False)
    return model


@pytest.fixture(scope='session')
def exported(tmp_path_factory, vit, resnet):
    """Exports a file of a format, each once: ``exported('onnx')``.

    The ONNX file is of the ViT and takes any size; the others are of the ResNet at
    64 x 96.
    """
    from mcdrl_mmseg.apis.export.deployable import DeployableSegmentor
    from mcdrl_mmseg.apis.export.formats import ENDINGS, FORMATS
    from mcdrl_mmseg.apis.export.metadata import describe

    folder = tmp_path_factory.mktemp('exported')

    def make(file_format: str) -> Path:
        path = folder / f'model{ENDINGS[file_format]}'
        if not path.exists():
            onnx = file_format == 'onnx'
            module = DeployableSegmentor(vit if onnx else resnet)
            size, multiple = ((64, 64), 8) if onnx else ((64, 96), None)
            description = describe(module, size, multiple)
            FORMATS[file_format](module, size, multiple, description, path)
        return path

    return make
