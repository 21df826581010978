"""Baselines against the stock head: same data and backbone, one thing changed."""

import random

import numpy as np
import pytest
import torch

TRAINING_SITES = (
    'polypgen_c2',
    'polypgen_c3',
    'polypgen_c4',
    'endotect_kvasir',
    'vocalfolds_larynx',
)
BACKBONES = {
    'clip-rn50': ('fcn', '50e_endoscopy-sites-224x224.py'),
    'clip-vit-b16': ('fcn', '50e_endoscopy-sites-224x224.py'),
    'clip-tiny-rn': ('segformer', '5e_endoscopy-sites-128x128.py'),
    'clip-endo-lite0': ('segformer', '8e_endoscopy-sites-160x160.py'),
}
METHODS = ('photometric', 'frozen', 'gin-ipa', 'coop', 'coop-decoder')


# Methods without a config file of their own, as in docs/baselines.md.
OPTIONS = {
    'frozen': {'model.backbone.frozen': True},
    'coop': {'model.backbone.frozen': True, 'model.decode_head.predictor': None},
    'gin-ipa': {
        'model.data_preprocessor.type': 'AugmentingDataPreProcessor',
        'model.data_preprocessor.augmentation.type': 'CausalAugmentation',
    },
}


@pytest.fixture
def load(load_config):
    """Loads the config of a method: ``load('coop', 'clip-rn50', image_size=64)``."""

    def config_of(method: str, backbone: str, image_size: int | None = None):
        head, data = BACKBONES[backbone]
        algorithm = {
            'photometric': 'photometric_',
            'coop': 'coop_',
            'coop-decoder': 'coop_',
        }.get(method, '')
        name = f'baselines/{algorithm}{backbone}_{head}_{data}'
        cfg = load_config(name, image_size)
        cfg.merge_from_dict(OPTIONS.get(method, {}))
        return cfg

    return config_of


@pytest.fixture
def tree(tmp_path, draw_pairs, monkeypatch):
    for site in ('polypgen_c1', *TRAINING_SITES):
        names = [(f'{n}.jpg', f'{n}.png') for n in range(2)]
        folder = tmp_path / site
        draw_pairs(folder / 'images', folder / 'masks', names, [[0, 255], [255, 0]])
    monkeypatch.setenv('MCDRL_DATA_ROOT', str(tmp_path))
    return tmp_path


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('backbone', BACKBONES)
def test_budget_validation_and_test_equal_those_of_the_stock_baseline(
    method, backbone, load
):
    stock = load('stock', backbone)
    cfg = load(method, backbone)
    for key in ('val_dataloader', 'test_dataloader', 'train_cfg', 'param_scheduler'):
        assert cfg[key] == stock[key]
    for key in ('batch_size', 'sampler'):
        assert cfg.train_dataloader[key] == stock.train_dataloader[key]
    ours, theirs = cfg.model.backbone.copy(), stock.model.backbone.copy()
    assert ours.pop('frozen', False) == (method in ('frozen', 'coop'))
    assert ours == theirs
    assert cfg.optim_wrapper.optimizer == stock.optim_wrapper.optimizer


@pytest.mark.parametrize(
    ('backbone', 'method'),
    [
        *(('clip-tiny-rn', method) for method in METHODS),
        # With another kind of text tower.
        ('clip-endo-lite0', 'coop'),
        ('clip-endo-lite0', 'coop-decoder'),
    ],
)
def test_one_step_changes_only_the_parts_that_the_method_trains(
    backbone, method, tree, load, datasets_of, model_of, step
):
    cfg = load(method, backbone, 64)
    model = model_of(cfg)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    losses = step(cfg, model, datasets_of(cfg)['train'])
    assert losses['loss'] > 0
    changed = {
        name for name, p in model.named_parameters() if not torch.equal(p, before[name])
    }
    groups = {
        'tower': 'backbone.tower.',
        'text': 'decode_head.prompts.tower.',
        'context': 'decode_head.prompts.context',
        'decoder': (
            'decode_head.predictor.'
            if method == 'coop-decoder'
            else 'decode_head.convs.'
        ),
    }
    found = {k for k, v in groups.items() if any(n.startswith(v) for n in changed)}
    assert (
        found
        == {
            'photometric': {'tower', 'decoder'},
            'frozen': {'decoder'},
            'gin-ipa': {'tower', 'decoder'},
            'coop': {'context'},
            'coop-decoder': {'tower', 'decoder', 'context'},
        }[method]
    )
    if method == 'coop':
        assert changed == {'decode_head.prompts.context'}


@pytest.mark.parametrize('method', ['coop', 'coop-decoder'])
@pytest.mark.parametrize('backbone', ['clip-rn50', 'clip-vit-b16'])
def test_prompt_tuning_fits_the_joint_space_of_the_backbone(
    method,
    backbone,
    tree,
    load,
    datasets_of,
    model_of,
    step,
    few_blocks,
):
    cfg = load(method, backbone, 64)
    assert cfg.model.decode_head.text.model_name == cfg.model.backbone.model_name
    assert cfg.model.decode_head.text.pretrained == 'openai'
    losses = step(cfg, model_of(cfg), datasets_of(cfg)['train'])
    assert losses['decode.loss_ce'] > 0


@pytest.mark.parametrize('backbone', BACKBONES)
def test_the_context_has_the_learning_rate_of_coop(backbone, load):
    optim = load('coop', backbone).optim_wrapper
    (key,) = optim.paramwise_cfg.custom_keys
    assert key == 'prompts.context'
    factor = optim.paramwise_cfg.custom_keys[key].lr_mult
    assert optim.optimizer.lr * factor == pytest.approx(2e-3)


def test_photometric_augmentation_changes_training_images_and_only_hides_labels(
    tree, load, datasets_of
):
    configs = [load(method, 'clip-tiny-rn', 64) for method in ('photometric', 'stock')]
    for cfg in configs:
        dataset = cfg.train_dataloader.dataset
        dataset.pipeline = [t for t in dataset.pipeline if t['type'] != 'RandomFlip']
    strong, stock = map(datasets_of, configs)
    np.random.seed(0)
    random.seed(0)
    hidden, changed = 0, 0
    for _ in range(30):
        one, other = strong['train'][0], stock['train'][0]
        assert one['inputs'].shape == other['inputs'].shape == (3, 64, 64)
        assert one['inputs'].dtype == torch.uint8
        labels = one['data_samples'].gt_sem_seg.data
        seen = labels != 255
        expected = other['data_samples'].gt_sem_seg.data
        assert torch.equal(labels[seen], expected[seen])
        hidden += bool((labels == 255).any())
        changed += not torch.equal(one['inputs'], other['inputs'])
    assert 5 < hidden < 25
    assert changed > 25
    for name in ('val', 'test'):
        assert torch.equal(strong[name][0]['inputs'], stock[name][0]['inputs'])


def test_the_causal_augmentation_changes_only_training_images(
    tree, load, datasets_of, model_of
):
    cfg = load('gin-ipa', 'clip-tiny-rn', 64)
    stock = model_of(load('stock', 'clip-tiny-rn'))
    model = model_of(cfg)
    item = datasets_of(cfg)['test'][0]
    batch = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
    for training in (True, False):
        ours = model.data_preprocessor(batch, training)['inputs']
        theirs = stock.data_preprocessor(batch, training)['inputs']
        assert torch.equal(ours, theirs) != training
