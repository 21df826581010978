"""Unusual kinds of stock models with MCDRL: trained, validated, exported."""

import importlib.util

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.apis import inference_model, init_model

from mcdrl_lab.stock_models.stock_configs import small_model, stock_folder
from mcdrl_mmseg import config_path
from mcdrl_mmseg.apis.checkpoint import load_segmentor
from mcdrl_mmseg.apis.explanation import explain
from mcdrl_mmseg.apis.export.exporting import export_model
from mcdrl_mmseg.engine.runner import MCDRLRunner

SIZE = 64
CLASSES = ('background', 'polyp', 'tumour')
STOCK = {
    'DDRNet': 'ddrnet/ddrnet_23-slim_in1k-pre_2xb6*',
    'OCRNet': 'ocrnet/ocrnet_hr18s_4xb2-40k*',
    'BEiT': 'beit/beit-base_upernet_8xb2*',
    'Mask2Former': 'mask2former/mask2former_r50*ade20k*',
}
without_mmdet = pytest.mark.skipif(
    importlib.util.find_spec('mmdet') is None, reason='MMDetection is not installed'
)


@pytest.fixture(scope='module')
def own_root(tmp_path_factory):
    """Four images with a block of each lesion."""
    root = tmp_path_factory.mktemp('own')
    random = np.random.default_rng(0)
    for part in ('train', 'val'):
        for kind in ('images', 'masks'):
            (root / kind / part).mkdir(parents=True)
        for number in range(2):
            image = random.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
            mask = np.zeros((SIZE, SIZE), np.uint8)
            mask[8:24, 8:40], mask[32:56, 16:48] = 1, 2
            cv2.imwrite(str(root / f'images/{part}/{number}.jpg'), image)
            cv2.imwrite(str(root / f'masks/{part}/{number}.png'), mask)
    return root


@pytest.fixture
def train(own_root, tmp_path, monkeypatch):
    """Trains a stock model for two steps, with a validation; config and checkpoint."""
    monkeypatch.setenv('OWN_DATA_ROOT', str(own_root))
    monkeypatch.setenv('MCDRL_CACHE_DIR', str(tmp_path / 'cache'))

    def run(model, name='own_segformer_mcdrl', **head):
        torch.manual_seed(0)
        cfg = Config.fromfile(config_path(f'mixing/{name}.py'))
        if model is not None:
            cfg.model = model
        # Needed for predictions at native size.
        cfg.model.data_preprocessor.pop('size', None)
        cfg.model.data_preprocessor.size_divisor = 1
        cfg.mcdrl.clip = dict(model_name='mcdrl-tiny-rn', pretrained='builtin')
        cfg.mcdrl.head.dictionary.prompts.classes = list(CLASSES[1:])
        cfg.mcdrl.head.intervention.update(num_layers=1, attention_dims=32)
        cfg.mcdrl.head.update(head)
        cfg.work_dir = str(tmp_path / 'run')
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
        cfg.mcdrl.hooks[1] = dict(
            type='InterventionWarmupHook', begin=0, by_epoch=False
        )
        cfg.default_hooks.checkpoint.interval = 2
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.update(batch_size=2, num_workers=0)
            loader.dataset.metainfo = dict(classes=CLASSES, palette=[[0, 0, 0]] * 3)
            _resize(loader.dataset.pipeline)
        _resize(cfg.test_pipeline)  # which inference reads
        MCDRLRunner.from_cfg(cfg).train()
        (config,) = (tmp_path / 'run').glob('*.py')
        return config, tmp_path / 'run/iter_2.pth'

    return run


def _resize(pipeline):
    for step in pipeline:
        if step.type == 'Resize':
            step.scale = (SIZE, SIZE)


def stock(name):
    path = sorted(stock_folder().glob(f'{STOCK[name]}.py'))[0]
    cfg = Config.fromfile(path, import_custom_modules=False)
    return Config(dict(model=small_model(cfg.model, SIZE))).model


@pytest.mark.parametrize('name', ['DDRNet', 'OCRNet', 'BEiT'])
def test_a_stock_model_trains_validates_predicts_explains_and_exports(
    name, train, own_root, tmp_path
):
    model = stock(name)
    if name == 'BEiT':  # narrow, to save time
        model.backbone.update(embed_dims=48, num_heads=4)
        model.neck.embed_dim = 48
        model.decode_head.update(in_channels=[48] * 4, channels=32)
        model.auxiliary_head.update(in_channels=48, channels=16)
    if name == 'OCRNet':  # one module in each stage, and one block in each branch
        for stage in model.backbone.extra.values():
            stage.update(num_modules=1, num_blocks=(1,) * stage.num_branches)
    config, checkpoint = train(model)
    image = str(own_root / 'images/val/0.jpg')
    predicted = inference_model(init_model(config, str(checkpoint), 'cpu'), image)
    assert predicted.seg_logits.data.shape == (len(CLASSES), SIZE, SIZE)

    loaded = load_segmentor(checkpoint, device='cpu')
    story = explain(loaded, image)
    assert story.lesion_probability['gate_1'].shape == (SIZE, SIZE)
    # Gates 0 and 1 give different maps: what is explained reaches the logits.
    shut, opened = (story.lesion_probability[f'gate_{g}'] for g in (0, 1))
    assert not np.array_equal(shut, opened)
    export_model(loaded, tmp_path / 'model.pt2', 'torch-export', (SIZE, SIZE))


@without_mmdet
def test_mask2former_trains_validates_and_predicts(train, own_root):
    config, checkpoint = train(stock('Mask2Former'))
    image = str(own_root / 'images/val/0.jpg')
    predicted = inference_model(init_model(config, str(checkpoint), 'cpu'), image)
    assert predicted.seg_logits.data.shape == (len(CLASSES), SIZE, SIZE)


def test_dinov3_of_timm_trains_with_an_intervention_on_two_maps(train, own_root):
    cfg = Config.fromfile(config_path('mixing/own_dinov3_mcdrl.py'))
    cfg.model.backbone.update(pretrained=False, model_name='vit_small_patch16_dinov3')
    cfg.model.decode_head.num_classes = len(CLASSES)
    config, checkpoint = train(cfg.model, 'own_dinov3_mcdrl')
    model = load_segmentor(checkpoint, config, 'cpu')
    assert model.decode_head.in_indices == (1, 2)
    assert [float(each.gate) for each in model.decode_head.interventions] == [1, 1]
    result = inference_model(model, str(own_root / 'images/val/0.jpg'))
    assert result.pred_sem_seg.data.shape == (1, SIZE, SIZE)
