"""The plans in configs/ablation_plans, on the small tower."""

import copy
import itertools
from functools import cache
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mcdrl_lab.plans.ablation import load_ablation
from mcdrl_lab.plans.folds import derive_fold, site_names
from mcdrl_lab.plans.plan import build_plan
from mcdrl_lab.plans.prepared import load_method
from mcdrl_mmseg.clip.meta_build import meta_build

ROOT = Path(__file__).resolve().parents[3]
PLANS = sorted((ROOT / 'configs/ablation_plans').glob('*.yml'))
TINY = 'configs/mcdrl/mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py'
# LoRA changes a transformer's weights.
TINY_VIT = 'configs/mcdrl/mcdrl_clip-tiny-vit_fcn_5e_endoscopy-sites-128x128.py'
# Their variants differ only in the tower, which may be large, or in the learning rate.
NOT_BUILT = ('paper_backbones', 'learning_rate', 'competitors')


@pytest.fixture(autouse=True, scope='module')
def scope():
    init_default_scope('mmseg')


@pytest.mark.parametrize('path', PLANS, ids=lambda path: path.stem)
def test_every_variant_of_every_plan_loads_with_all_sites_and_gives_a_fold(
    path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    methods = load_ablation(path)
    build_plan(methods, ['site'], [0])
    for method in methods:
        cfg = load_method(method)
        sites = site_names(cfg)
        assert len(sites) == (5 if path.stem.startswith('endosim') else 6)
        assert derive_fold(cfg, sites[3]).held_out_site == sites[3]


def load(plan):
    """A plan's methods, on the small tower unless it is about other configs."""
    path = ROOT / f'configs/ablation_plans/{plan}.yml'
    content = yaml.safe_load(path.read_text())
    entries = [*content.get('variants', ()), *content.get('sweeps', ())]
    own = plan.startswith('endosim') or any('config' in entry for entry in entries)
    small = TINY_VIT if plan == 'tower_training' else TINY
    return load_ablation(path, None if own else ROOT / small)


@cache
def configs_of(plan) -> dict[str, Config]:
    """Variant -> config, on the small tower."""
    methods = load(plan)
    configs = {method.name: load_method(method) for method in methods}
    assert len(configs) == len(methods), 'a name stands twice'
    return configs


def built(plan):
    """Variant -> model without weight values, which no test here needs."""
    with meta_build():
        return {
            name: MODELS.build(copy.deepcopy(cfg.model))
            for name, cfg in configs_of(plan).items()
        }


@pytest.mark.parametrize(
    'plan',
    [path.stem for path in PLANS if path.stem not in NOT_BUILT],
)
def test_every_variant_can_be_built_and_no_two_are_the_same(plan, monkeypatch):
    monkeypatch.chdir(ROOT)
    configs = configs_of(plan).values()
    assert len(built(plan)) == len(configs) > 0
    # Variants may differ only in the image pipeline, in the optimizer, or in when the
    # intervention starts.
    parts = [
        (cfg.model, cfg.train_dataloader, cfg.optim_wrapper, cfg.get('custom_hooks'))
        for cfg in configs
    ]
    assert all(part not in parts[:number] for number, part in enumerate(parts))


@pytest.mark.parametrize('plan', ['paper_dictionary_size', 'endosim_dictionary_size'])
def test_the_dictionary_sizes_are_3_to_15_and_each_contains_the_smaller_ones(plan):
    sizes = {
        name: model.decode_head.dictionary.prompts.confounder_names
        for name, model in built(plan).items()
    }
    assert [len(names) for names in sizes.values()] == [3, 6, 9, 12, 15]
    ordered = [set(names) for names in sizes.values()]
    assert all(small < large for small, large in itertools.pairwise(ordered))


def test_depth_and_ratio_sweeps_set_the_intervention_and_the_region_selector():
    depths = [
        len(model.decode_head.intervention.layers)
        for model in built('paper_depth').values()
    ]
    assert depths == [1, 2, 3, 4, 5]
    ratios = [
        model.decode_head.region_selector.ratio
        for model in built('paper_ratio').values()
    ]
    assert ratios == [0.1, 0.25, 0.5, 0.75, 1.0]


def test_the_modules_plan_removes_each_module_alone_and_both_together():
    heads = {name: model.decode_head for name, model in built('paper_modules').items()}
    parts = ('region_selector', 'intervention', 'loss_causal', 'loss_contrast')
    there = {
        name: [part for part in parts if getattr(head, part) is not None]
        for name, head in heads.items()
    }
    assert there == {
        'full': list(parts),
        'without_mtrs': ['intervention', 'loss_causal', 'loss_contrast'],
        'without_cdrl': ['region_selector', 'loss_contrast'],
        'baseline': [],
    }


def test_the_controls_have_about_as_many_parameters_as_the_full_head():
    def parameters(model):
        return sum(p.numel() for p in model.decode_head.parameters())

    models = built('controls')
    full = parameters(models['full'])
    assert parameters(models['shuffled_prompts']) == full
    assert parameters(models['random_dictionary']) == full
    for name in ('learned_dictionary', 'self_attention'):
        assert abs(parameters(models[name]) - full) < 0.02 * full


def test_the_learning_rate_plan_has_three_rates_for_each_tower_and_clips_gradients():
    methods = load_ablation(ROOT / 'configs/ablation_plans/learning_rate.yml')
    found = {}
    for method in methods:
        cfg = load_method(method)
        wrapper = cfg.optim_wrapper
        assert wrapper.clip_grad.max_norm == 1
        tower = cfg.model.backbone
        key = tower.model_name, tower.pretrained
        found.setdefault(key, []).append(wrapper.optimizer.lr)
    rates = [5e-3, 1e-3, 1e-4]
    assert found == {
        ('mcdrl-tiny-rn', None): rates,
        ('mcdrl-tiny-vit', None): rates,
        ('mcdrl-tiny-rn', 'builtin'): rates,
    }
