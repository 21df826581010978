"""A short training with the CLIP built in for endoscopy, as tower and as guide."""

from pathlib import Path

import pytest

from mcdrl_mmseg.clip import CLIPSpec, build_image_tower, load_tower_weights

CONFIG = 'mcdrl_clip-endo-lite0-guided_segformer_8e_endoscopy-sites-160x160.py'
OPTIONS = (
    'train_cfg.max_epochs=1',
    'train_cfg.val_interval=1',
    'train_dataloader.batch_size=8',
    'train_dataloader.dataset.max_images=5',
    'val_dataloader.dataset.max_images=2',
    'custom_hooks.1.begin=0',
    'default_hooks.logger.interval=1',
)


@pytest.fixture(scope='module')
def run(new_bench, sites_root):
    config = Path(__file__).parents[2] / 'configs/mcdrl' / CONFIG
    bench = new_bench('endo_clip', sites_root)
    return bench.tool('trained', 'train.py', config, options=OPTIONS, fresh=False)


def weights_of(run, prefix: str) -> dict:
    state = run.checkpoint('epoch_1.pth')['state_dict']
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def test_the_tower_is_trained_and_the_frozen_guide_keeps_the_built_in_weights(run):
    spec = CLIPSpec('mcdrl-endo-lite0', 'builtin')
    tower = build_image_tower(spec)
    load_tower_weights(tower, spec, 'visual.')
    guide = weights_of(run, 'backbone.guide.tower.')
    trained = weights_of(run, 'backbone.backbone.tower.')
    assert guide.keys() == trained.keys() == tower.state_dict().keys()
    for name, value in tower.state_dict().items():
        assert guide[name].equal(value), name
    stem = tower.state_dict()['trunk.conv_stem.weight']
    assert not trained['trunk.conv_stem.weight'].equal(stem)


def test_the_gate_is_open_at_the_end_and_every_loss_is_finite(run):
    steps = [line for line in run.scalars() if 'loss' in line]
    assert len(steps) == 4, 'five sites of five images in batches of eight'
    assert all(0 < step['loss'] < 10 for step in steps)
    assert steps[-1]['gate'] == 1
    assert weights_of(run, 'decode_head.')['dictionary.built'].all()
