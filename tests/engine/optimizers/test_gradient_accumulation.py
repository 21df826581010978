"""``optim_wrapper.accumulative_counts`` with this package's losses and gate."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn.modules.batchnorm import _BatchNorm

from mcdrl_lab.benchmarks.models import fill_with_noise

_CONFIG = 'configs/mcdrl/mcdrl_clip-tiny-vit_fcn_5e_endoscopy-sites-128x128.py'


@pytest.fixture(scope='module')
def model(repo_root):
    """Two blocks, no dropout, and batch norm as in evaluation."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(repo_root / _CONFIG)
    predictor = cfg.model.decode_head.predictor
    predictor.dropout_ratio = 0
    # A mean over pixels; overlap losses are not means and differ between parts.
    predictor.loss_decode = dict(type='CrossEntropyLoss')
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = fill_with_noise(MODELS.build(cfg.model)).train()
    blocks = model.backbone.tower.transformer
    blocks.resblocks = blocks.resblocks[:2]
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    return model


@pytest.fixture(scope='module')
def images():
    """Four images, all with lesion: the causal loss is a mean over such images."""
    pixels = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    samples = []
    for number, classes in enumerate([('polyp',)] * 4):
        mask = torch.zeros(1, 64, 64, dtype=torch.long)
        mask[:, 8 : 30 + 8 * number, 8:40] = 1
        sample = SegDataSample(metainfo=dict(lesion_classes=classes))
        sample.gt_sem_seg = PixelData(data=mask)
        samples.append(sample)
    return pixels, samples


def updated(model, images, parts, gates, accumulative_counts):
    """Weights after a step of gradient descent from parts of the batch."""
    model = copy.deepcopy(model)
    wrapper = build_optim_wrapper(
        model,
        dict(
            optimizer=dict(type='SGD', lr=0.1), accumulative_counts=accumulative_counts
        ),
    )
    pixels, samples = images
    for part, gate in zip(parts, gates):
        model.decode_head.intervention.gate.fill_(gate)
        with wrapper.optim_context(model):
            losses = model(pixels[part], samples[part], mode='loss')
        wrapper.update_params(model.parse_losses(losses)[0])
    return dict(model.named_parameters())


_WHOLE, _HALVES = [slice(0, 4)], [slice(0, 2), slice(2, 4)]


def test_two_accumulated_halves_update_the_weights_like_the_whole_batch(model, images):
    whole = updated(model, images, _WHOLE, [1.0], 1)
    halves = updated(model, images, _HALVES, [1.0, 1.0], 2)
    start = dict(model.named_parameters())
    for name, weight in whole.items():
        step = (weight - start[name]).norm()
        assert (halves[name] - weight).norm() <= 1e-4 * step + 1e-7, name
    assert any(not torch.equal(whole[name], start[name]) for name in start)


def test_a_gate_that_opens_within_a_step_affects_only_its_part_of_the_batch(
    model, images
):
    both = updated(model, images, _HALVES, [0.0, 1.0], 2)
    closed = updated(model, images, _HALVES[:1], [0.0], 1)
    opened = updated(model, images, _HALVES[1:], [1.0], 1)
    for name, weight in both.items():
        mean = (closed[name] + opened[name]) / 2
        assert (weight - mean).abs().max() < 1e-5, name
