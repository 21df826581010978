"""A checkpoint whose config names its CLIP by a folder, ``local-dir:``."""

import numpy as np
import pytest
import torch
from local_clips import EMBED_DIMS, write_biomedclip
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch.testing import assert_close

from mcdrl_mmseg.apis import (
    CheckpointConfigError,
    MCDRLInferencer,
    load_segmentor,
    predict_at_gate,
)

_BASE = 'configs/mcdrl/mcdrl_clip-tiny-vit_fcn_5e_endoscopy-sites-128x128.py'

pytest.importorskip('transformers', reason='the extra [hf] is not installed')


@pytest.fixture
def written(tmp_path, repo_root):
    """The model, its config file and its checkpoint."""
    name = write_biomedclip(tmp_path / 'clip')
    cfg = Config.fromfile(repo_root / _BASE)
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=dict(model_name=name, pretrained=None),
                decode_head=dict(
                    in_channels=EMBED_DIMS,
                    predictor=dict(in_channels=EMBED_DIMS),
                    dictionary=dict(embed_dims=EMBED_DIMS),
                ),
            )
        )
    )
    init_default_scope('mmseg')
    model = MODELS.build(cfg.model).eval()
    model.cfg = cfg
    dictionary = model.decode_head.dictionary
    texts = torch.randn(len(dictionary.texts), EMBED_DIMS)
    dictionary.fill(torch.nn.functional.normalize(texts, dim=1), 'ab' * 32)
    cfg.dump(tmp_path / 'config.py')
    classes = dict(classes=('background', 'lesion'), palette=[[0, 0, 0], [255, 0, 0]])
    meta = dict(cfg=cfg.pretty_text, dataset_meta=classes)
    content = dict(meta=meta, state_dict=model.state_dict())
    torch.save(content, tmp_path / 'best.pth')
    return model, tmp_path / 'config.py', tmp_path / 'best.pth'


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def test_a_folder_named_by_a_checkpoint_is_not_read_without_a_config_file(written):
    # The checkpoint may be from a stranger, who names a folder of this machine.
    opens = r'asks to open .*clip/open_clip_config\.json.* name its config file'
    with pytest.raises(CheckpointConfigError, match=opens):
        load_segmentor(written[2])


def test_the_checkpoint_predicts_if_the_user_names_its_config_file(written, image):
    model, config, checkpoint = written
    loaded = load_segmentor(checkpoint, config)
    expected = predict_at_gate(model, image, 1.0)
    assert_close(predict_at_gate(loaded, image, 1.0), expected, rtol=0, atol=0)
    inferencer = MCDRLInferencer(
        model=str(config), weights=str(checkpoint), show_progress=False
    )
    (prediction,) = inferencer.predict([image])
    assert prediction.labels.shape == (64, 96)
