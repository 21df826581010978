"""Every config of the repository is built, trained for a step and tested."""

import gc
import json
import re
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, HOOKS, METRICS, MODELS, PARAM_SCHEDULERS
from mmseg.visualization import SegLocalVisualizer
from step_in_backward import step_in_backward

from mcdrl_mmseg.clip.model_config import get_model_config
from mcdrl_mmseg.models import ConfounderDictionary

_CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
_NAMES = sorted(
    str(path.relative_to(_CONFIGS).with_suffix(''))
    for folder in ('mcdrl', 'baselines')
    for path in (_CONFIGS / folder).glob('*.py')
)
# Trained and tested on the same few images.
_HELD_OUT = [name for name in _NAMES if '_overfit_' not in name]
# Every model here takes images of any size: a multiple of its patch, or of 16.
_STEP_SIZE = {'ViT-L-14': (56, 56)}
_OTHER_STEP_SIZE = (64, 64)


@cache
def load(name: str) -> Config:
    return Config.fromfile(_CONFIGS / f'{name}.py')


def walk(node):
    """Every dict inside a config, outermost first."""
    if isinstance(node, dict):
        yield node
    children = node.values() if isinstance(node, dict) else node
    for child in children if isinstance(node, dict | list | tuple) else ():
        yield from walk(child)


def without_pretrained(model: dict) -> ConfigDict:
    """The model with random weights wherever it would download or read some."""
    model = json.loads(json.dumps(model))
    for node in walk(model):
        if 'pretrained' in node:
            node['pretrained'] = None
        if (node.get('init_cfg') or {}).get('type') == 'Pretrained':
            node['init_cfg'] = None
    return ConfigDict(model)


def parts_of(dataset: dict) -> list[dict]:
    return dataset['datasets'] if dataset['type'] == 'ConcatDataset' else [dataset]


def sites_of(loader: dict) -> list[str]:
    """Names of the sites that a dataloader reads, sorted."""
    names = []
    for part in parts_of(loader['dataset']):
        if 'sites' in part:
            names += [s if isinstance(s, str) else s['name'] for s in part['sites']]
        else:
            names.append(part['metainfo']['site'])
    return sorted(set(names))


def draw(folder: Path, suffix: str, values: list[int]) -> None:
    """Write four pictures, or masks with the given values."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(values))
    for number in range(4):
        if not values:
            picture = rng.integers(0, 255, (60, 70, 3)).astype(np.uint8)
        else:
            picture = np.zeros((60, 70), np.uint8)
            picture[10:40, 15:50] = values[number % len(values)]
        cv2.imwrite(str(folder / f'image{number}{suffix}'), picture)


def redirect(dataset: dict, root: Path, size: tuple[int, int]) -> dict:
    """The dataset with drawn images in the place of its own, at another size."""
    dataset = json.loads(json.dumps(dataset))
    for part in parts_of(dataset):
        part['data_root'] = str(root / Path(part['data_root']).name)
        for site in part.get('sites', ()):
            folder = Path(part['data_root'], site.get('folder') or site['name'])
            names = site.get('mask_values') or {}
            values = [int(v) for v, name in names.items() if name != 'background']
            draw(folder / site.get('img_dir', 'images'), '.jpg', [])
            draw(folder / site.get('mask_dir', 'masks'), '.png', values or [255])
        if 'sites' not in part:
            images = Path(part['data_root'], part['data_prefix']['img_path'])
            masks = Path(part['data_root'], part['data_prefix']['seg_map_path'])
            images.mkdir(parents=True, exist_ok=True)
            lazy = DATASETS.build({**part, 'lazy_init': True})
            draw(images, lazy.img_suffix, [])
            draw(masks, lazy.seg_map_suffix, [1])
    for node in walk(dataset):
        if node.get('type') == 'Resize':
            node['scale'] = size
    return dataset


def batch_of(loader: dict, root: Path, size: tuple[int, int]) -> tuple[dict, dict]:
    """Two images through a dataloader's own pipeline, and the dataset's metainfo."""
    dataset = DATASETS.build(redirect(loader['dataset'], root, size))
    assert len(dataset) >= 2
    return pseudo_collate([dataset[0], dataset[1]]), dataset.metainfo


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    return tmp_path_factory.mktemp('drawn')


def on_one_process(optim_wrapper: dict) -> ConfigDict:
    """Without ZeRO, which needs several; its steps are those of its inner optimiser."""
    wrapper = json.loads(json.dumps(optim_wrapper))
    optimizer = wrapper['optimizer']
    optimizer['type'] = optimizer.pop('optimizer_type', optimizer['type'])
    return ConfigDict(wrapper)


@pytest.fixture(scope='module')
def stepped():
    """Models that were trained for a step: folds of one model need it only once."""
    return {}


@pytest.mark.parametrize('name', _NAMES)
def test_config_can_be_built_trained_for_a_step_and_evaluated(
    name, stepped, drawn, few_blocks
):
    cfg = load(name)
    init_default_scope(cfg.default_scope)
    optimizer = on_one_process(cfg.optim_wrapper)
    # The learning rate's value is all in which two optimisers may differ here.
    optimizer['optimizer'].pop('lr')
    key = json.dumps([cfg.model, optimizer], sort_keys=True)
    if key not in stepped:
        stepped[key] = f'{name} has the same model, and failed'
        step(cfg, drawn)
        gc.collect()
        stepped[key] = None
    elif stepped[key]:
        pytest.fail(stepped[key])


def step(cfg: Config, drawn: Path) -> None:
    """Train for one step on two images, then predict and score one."""
    torch.manual_seed(0)
    np.random.seed(0)
    model = MODELS.build(without_pretrained(cfg.model))
    model.init_weights()
    for dictionary in model.modules():
        if isinstance(dictionary, ConfounderDictionary):
            width = get_model_config(model.backbone.clip_spec.model_name)['embed_dim']
            texts = torch.randn(len(dictionary.texts), width)
            dictionary.fill(torch.nn.functional.normalize(texts, dim=1), '0' * 64)
    optimizer = build_optim_wrapper(model, on_one_process(cfg.optim_wrapper))
    model.train()
    size = _STEP_SIZE.get(cfg.model.backbone.get('model_name'), _OTHER_STEP_SIZE)
    batch, _ = batch_of(cfg.train_dataloader, drawn, size)
    data = model.data_preprocessor(batch, training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    assert bool(loss.isfinite())
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert trained
    key, parameter = list(trained.items())[-1]
    before = parameter.detach().clone()
    stepped = step_in_backward(optimizer, loss)
    assert not [name for name, p in trained.items() if p not in stepped]
    assert not torch.equal(parameter, before), f'{key} was not moved'
    assert all(bool(p.isfinite().all()) for p in trained.values())

    model.eval()
    batch, metainfo = batch_of(cfg.val_dataloader, drawn, size)
    samples = model.val_step(batch)
    for sample in samples:
        assert tuple(sample.pred_sem_seg.data.shape[-2:]) == (60, 70)
        assert bool(sample.seg_logits.data.isfinite().all())
    evaluator = Evaluator(METRICS.build(cfg.val_evaluator))
    evaluator.dataset_meta = metainfo
    evaluator.process(data_samples=samples, data_batch=batch)
    monitored = cfg.default_hooks.checkpoint.save_best
    assert monitored in evaluator.evaluate(len(samples))


@pytest.fixture(scope='module')
def visualizer():
    """The drawing hook needs that of the runner."""
    return SegLocalVisualizer.get_instance('test_configs')


@pytest.mark.parametrize('name', _NAMES)
def test_hooks_and_schedule_match_the_model(name, visualizer):
    cfg = load(name)
    init_default_scope(cfg.default_scope)
    assert 'mcdrl_mmseg' in cfg.custom_imports['imports']
    assert METRICS.build(cfg.test_evaluator) is not None
    for hook in (*cfg.default_hooks.values(), *cfg.get('custom_hooks', ())):
        assert HOOKS.build(hook) is not None
    hooks = {hook['type']: hook for hook in cfg.get('custom_hooks', ())}
    types = {node.get('type') for node in walk(cfg.model.to_dict())}
    assert ('ConfounderDictionary' in types) == name.startswith('mcdrl/')
    assert ('ConfounderDictionary' in types) == ('ConfounderDictionaryHook' in hooks)
    assert ('CausalIntervention' in types) == ('InterventionWarmupHook' in hooks)
    # What a run needs to be resumed exactly.
    assert cfg.default_hooks.epoch_seed.type == 'EpochSeedHook'
    assert not cfg.train_dataloader.get('persistent_workers', False)

    epochs = cfg.train_cfg.max_epochs
    if '_50e' in name:
        assert epochs == 50
        assert on_one_process(cfg.optim_wrapper).optimizer.type == 'AdamW'
    if 'InterventionWarmupHook' in hooks:
        assert 0 < hooks['InterventionWarmupHook']['begin'] < epochs
        if '_50e' in name:
            assert hooks['InterventionWarmupHook']['begin'] == 10
    for scheduler in cfg.param_scheduler:
        assert PARAM_SCHEDULERS.get(scheduler['type']) is not None
        if scheduler['type'] == 'CosineAnnealingLR' and 'end' not in scheduler:
            assert scheduler['T_max'] + scheduler.get('begin', 0) == epochs


@pytest.mark.parametrize('name', _NAMES)
def test_image_size_is_the_one_in_the_name(name):
    cfg = load(name)
    size = tuple(int(n) for n in re.search(r'-(\d+)x(\d+)', name).groups())
    for part in ('train', 'val', 'test'):
        dataset = cfg[f'{part}_dataloader'].dataset.to_dict()
        scales = {
            tuple(node['scale'])
            for node in walk(dataset)
            if node.get('type') == 'Resize'
        }
        assert scales == {size}, part


@pytest.mark.parametrize('name', _HELD_OUT)
def test_held_out_site_is_in_the_test_set_and_nowhere_else(name):
    cfg = load(name)
    held_out = cfg.held_out_site
    known = {site['name'] for site in cfg.sites}
    alone = {site['name'] for site in cfg.get('training_only_sites') or ()}
    assert alone <= set(sites_of(cfg.train_dataloader)) - known
    training = [s for s in sites_of(cfg.train_dataloader) if s not in alone]
    assert sites_of(cfg.test_dataloader) == [held_out]
    assert sites_of(cfg.val_dataloader) == training
    assert held_out in known
    assert len(training) >= 2
    assert set(training) <= known - {held_out}
    if '_demo_' not in name:
        assert set(training) == known - {held_out}
    for part, split in (('train', 'train'), ('val', 'val'), ('test', 'all')):
        for dataset in parts_of(cfg[f'{part}_dataloader'].dataset):
            if dataset['type'] == 'EndoscopySiteDataset':
                assert dataset['split'] == split


def _without(cfg: dict, *keys: str) -> dict:
    return {key: value for key, value in cfg.items() if key not in keys}


@pytest.mark.parametrize(
    'name',
    [
        name
        for name in _NAMES
        if name.startswith('mcdrl/')
        and re.search('_(50|8|6)e_', name)
        # Its guide is not part of a baseline.
        and '-guided_' not in name
    ],
)
def test_baseline_differs_from_the_mcdrl_config_only_in_mcdrl(name):
    ours = load(name).to_dict()
    twin = name.replace('mcdrl/mcdrl_', 'baselines/').replace('_fcn-map_', '_fcn_')
    assert twin in _NAMES, 'no baseline to compare with'
    baseline = load(twin).to_dict()
    rates = ours['optim_wrapper'].get('paramwise_cfg', {}).get('custom_keys', {})
    if rates.pop('decode_head.intervention', None) and not rates:
        del ours['optim_wrapper']['paramwise_cfg']
    for key in (
        'train_dataloader',
        'val_dataloader',
        'test_dataloader',
        'val_evaluator',
        'test_evaluator',
        'optim_wrapper',
        'param_scheduler',
        'train_cfg',
        'default_hooks',
        'randomness',
    ):
        assert ours[key] == baseline[key], key
    ours, baseline = ours['model'], baseline['model']
    backbone = ours['backbone']
    if backbone['type'] == 'CLIPGuidedBackbone':
        backbone = backbone['backbone']
    assert backbone == baseline['backbone']
    head = ours['decode_head']
    predictor = dict(head['predictor'])
    # The same head, faster at inference.
    predictor['type'] = predictor['type'].replace('Folded', '')
    if head.get('similarity_map'):
        # One more map with one channel, concatenated with the features.
        assert predictor.pop('input_transform') == 'resize_concat'
        assert predictor['in_channels'].pop() == 1
        (predictor['in_channels'],) = predictor['in_channels']
    # The predictor's input may be at another index of the tuple.
    assert _without(predictor, 'in_index') == _without(
        baseline['decode_head'], 'in_index'
    )
    rest = ('backbone', 'decode_head')
    assert _without(ours, *rest) == _without(baseline, *rest)
