"""Image files as they are uploaded, and a model to try them on."""

import io

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from PIL import Image

_CONFIG = 'configs/mcdrl/mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py'


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def encode():
    """Encode an array or a Pillow image as a file: ``encode(pixels, 'PNG')``."""

    def encode_image(image, image_format: str, **options) -> bytes:
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image)
        stream = io.BytesIO()
        image.save(stream, image_format, **options)
        return stream.getvalue()

    return encode_image


@pytest.fixture(scope='session')
def pixels() -> np.ndarray:
    """(48, 64, 3): red grows to the right, green downwards."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 0] = np.arange(64) * 4
    image[..., 1] = np.arange(48)[:, None] * 5
    image[..., 2] = 90
    return image


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory, repo_root):
    """A checkpoint of a small model with random weights, as training writes it."""
    cfg = Config.fromfile(repo_root / _CONFIG)
    init_default_scope('mmseg')
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        model.init_weights()
        # New interventions have no effect: give them one.
        for parameter in model.decode_head.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
        dictionary = model.decode_head.dictionary
        embeddings = torch.randn(len(dictionary.texts), dictionary.embed_dims)
    dictionary.fill(torch.nn.functional.normalize(embeddings, dim=1), 'ab' * 32)
    path = tmp_path_factory.mktemp('serving') / 'model.pth'
    meta = dict(cfg=cfg.pretty_text)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path
