"""The pipeline of an untrusted config enlarges no image beyond a limit."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mcdrl_mmseg.apis import CheckpointConfigError, load_segmentor
from mcdrl_mmseg.apis.checkpoint import read_checkpoint
from mcdrl_mmseg.apis.image_pipeline import prepare
from mcdrl_mmseg.apis.sealing import sealed_building
from mcdrl_mmseg.apis.sealing.image_growth import GROWERS

SMALL = np.zeros((10, 20, 3), np.uint8)
LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='PackSegInputs')


@pytest.fixture
def save(tiny_checkpoint, tiny_config, tmp_path):
    """Writes a checkpoint with a step in its test pipeline and a data preprocessor."""

    def make(step=None, **preprocessor):
        content = read_checkpoint(tiny_checkpoint)
        cfg = Config.fromfile(tiny_config)
        if step is not None:
            cfg.test_pipeline = [LOAD, step, PACK]
        cfg.model.data_preprocessor.update(preprocessor)
        content['meta']['cfg'] = cfg.pretty_text
        torch.save(content, tmp_path / 'a.pth')
        return tmp_path / 'a.pth'

    return make


@pytest.mark.reliability('security', 'a test pipeline that enlarges without end')
@pytest.mark.parametrize(
    'step',
    [
        dict(type='Resize', scale=(20_000, 20_000)),
        dict(type='Resize', scale=(20_000, 20_000), backend='pillow'),
        dict(type='Resize', scale_factor=2000.0),
        dict(type='Pad', size=(20_000, 20_000)),
        dict(type='Pad', size_divisor=20_000),
        dict(type='ResizeShortestEdge', scale=20_000, max_size=30_000),
    ],
)
def test_a_pipeline_that_enlarges_images_beyond_the_limit_is_refused(save, step):
    model = load_segmentor(save(step), device='cpu')
    with pytest.raises(CheckpointConfigError, match=r'a\.pth: the test .* \d{9}'):
        prepare(model, SMALL)


@pytest.mark.reliability('security', 'a data preprocessor that pads without end')
@pytest.mark.parametrize('padding', [dict(size=(20_000, 9)), dict(size_divisor=20_000)])
def test_a_data_preprocessor_that_pads_beyond_the_limit_is_refused(save, padding):
    with pytest.raises(CheckpointConfigError, match=r'test_cfg\.size.*up to 4096'):
        load_segmentor(save(test_cfg=padding), device='cpu')
    load_segmentor(save(test_cfg=dict(size_divisor=32)), device='cpu')


def test_an_image_may_keep_its_size_and_a_config_named_by_the_user_has_no_limit(
    save, monkeypatch
):
    monkeypatch.setattr(sealed_building, 'MOST_PIXELS', 100)
    path = save(dict(type='Resize', scale=(20, 10)))
    model = load_segmentor(path, device='cpu')
    assert prepare(model, SMALL)[0].shape == (1, 3, 10, 20)
    with pytest.raises(CheckpointConfigError, match=r'200 pixels; the limit .* is 100'):
        prepare(model, SMALL[:2, :2])
    cfg = Config(dict(model.cfg))
    trusted = load_segmentor(path, cfg, 'cpu')
    assert prepare(trusted, SMALL[:2, :2])[0].shape == (1, 3, 10, 20)


@pytest.mark.parametrize(
    ('owner', 'name', 'arguments', 'options', 'pixels'),
    [
        (cv2, 'resize', [SMALL, (30, 40)], {}, 1200),
        (cv2, 'resize', [SMALL, None], dict(fx=3, fy=2), 1200),
        (cv2, 'copyMakeBorder', [SMALL, 1, 2, 3, 4, cv2.BORDER_CONSTANT], {}, 13 * 27),
        (cv2, 'warpAffine', [SMALL, np.eye(2, 3), (5, 6)], {}, 30),
        (cv2, 'warpPerspective', [SMALL, np.eye(3), (5, 6)], {}, 30),
        (Image.Image, 'resize', [Image.fromarray(SMALL), (5, 6)], {}, 30),
        (np, 'pad', [SMALL, ((1, 2), (3, 4), (0, 0))], {}, 13 * 27),
        (np, 'pad', [SMALL[..., 0], 1], {}, 12 * 22),
    ],
)
def test_counted_pixels_are_those_that_the_function_returns(
    owner, name, arguments, options, pixels
):
    count = {(o, n): counter for o, n, counter in GROWERS}[owner, name]
    assert count(*arguments, **options) == pixels
    made = np.asarray(getattr(owner, name)(*arguments, **options))
    assert made.shape[0] * made.shape[1] == pixels
