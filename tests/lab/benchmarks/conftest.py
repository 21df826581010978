"""Configs of small models to measure."""

import copy

import pytest
import torch
from noise_images import new_pixels
from small_model import new_model, tiny_config

from mcdrl_lab.benchmarks.models import Subject, load_subject


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def vit_config(repo_root) -> str:
    """A ViT with patches of 8 pixels, width 192 and six blocks; an FCN predictor."""
    name = 'mcdrl_clip-tiny-vit_fcn_5e_endoscopy-sites-128x128.py'
    return str(repo_root / 'configs/mcdrl' / name)


@pytest.fixture(scope='session')
def resnet_config(repo_root) -> str:
    """A ResNet of width 16; a SegFormer predictor."""
    name = 'mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py'
    return str(repo_root / 'configs/mcdrl' / name)


@pytest.fixture(scope='session')
def vit(vit_config) -> Subject:
    return load_subject(vit_config)


@pytest.fixture(scope='session')
def resnet(resnet_config) -> Subject:
    return load_subject(resnet_config)


@pytest.fixture(scope='session')
def guided(repo_root) -> Subject:
    """A small SegFormer beside a CLIP tower; both name weights that do not exist."""
    name = 'mcdrl_mit-b0_segformer_50e_endoscopy-sites-224x224.py'
    subject = load_subject(str(repo_root / 'configs/mcdrl' / name))
    subject = Subject(subject.name, copy.deepcopy(subject.cfg))
    model = subject.cfg.model
    model.backbone.backbone.update(
        embed_dims=8,
        num_layers=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        init_cfg=dict(type='Pretrained', checkpoint='gone.pth'),
    )
    model.backbone.clip.update(model_name='mcdrl-tiny-rn', pretrained='gone.pt')
    model.decode_head.in_channels = 8
    model.decode_head.dictionary.embed_dims = 128
    model.decode_head.predictor.update(in_channels=[8, 8, 8, 8], channels=16)
    return subject
