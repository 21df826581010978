"""configs/mixing: MCDRL beside stock models, as docs/mixing.md shows it."""

import sys
from pathlib import Path

import cv2
import mmseg
import numpy as np
import pytest
import torch

from mcdrl_lab.plans.records import read_records
from mcdrl_mmseg import compat
from mcdrl_mmseg.apis import build_runner, load_config

STOCK_TOOLS = Path(mmseg.__file__).parent / '.mim' / 'tools'
SITES = ('polypgen_c1', 'polypgen_c2')
# A stock model on the data and the metric of this package.
STOCK = 'configs/baselines/mit-b0_segformer_50e_endoscopy-sites-224x224.py'

# The small built-in CLIP in place of the paper's.
SMALL_CLIP = ('model_name=mcdrl-tiny-rn', 'pretrained=builtin', 'dense_mode=maskclip')
SHORT = (
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'default_hooks.checkpoint.interval=2',
    'default_hooks.logger.interval=1',
    'train_dataloader.batch_size=2',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
)

# Loaded by Python before a program: makes a torchvision of another build than torch
# importable, and makes modules impossible to import.
WITHOUT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location('compat', {compat!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.declare_torchvision_operators()
sys.modules.update(dict.fromkeys({modules!r}))
"""


@pytest.fixture(scope='module')
def bench(new_bench, tmp_path_factory, site_drawer):
    """A project's own images, and those of two sites."""
    root = tmp_path_factory.mktemp('images')
    for seed, site in enumerate(SITES):
        site_drawer(root / site, [True] * 6, seed)
    for part, site in (('train', SITES[0]), ('val', SITES[1])):
        for image in (root / site / 'images').iterdir():
            own = root / 'own' / 'images' / part / image.name
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_bytes(image.read_bytes())
            mask = cv2.imread(str(root / site / 'masks' / f'{image.stem}.png'), 0)
            label = root / 'own' / 'masks' / part / f'{image.stem}.png'
            label.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(label), np.uint8(mask > 0))
    return new_bench('mixing', root)


@pytest.fixture(scope='module')
def program(bench, repo_root):
    """Runs a Python program on the images: ``program(name, file, *arguments)``."""

    def run(name, file, *arguments, without=(), **environment):
        folder = bench.folder / f'{name}_start'
        folder.mkdir()
        (folder / 'sitecustomize.py').write_text(
            WITHOUT.format(compat=compat.__file__, modules=without)
        )
        return bench.start(
            name,
            sys.executable,
            file,
            *arguments,
            OWN_DATA_ROOT=str(bench.sites_root / 'own'),
            PYTHONPATH=str(folder),
            **environment,
        )

    return run


@pytest.fixture(scope='module')
def stock(bench, program, repo_root) -> Path:
    """Checkpoint of the stock model, by MMSegmentation's tool without the plug-in."""
    if not STOCK_TOOLS.is_dir():
        pytest.skip(f'this install of mmseg has no tools: {STOCK_TOOLS}')
    run = program(
        'stock',
        STOCK_TOOLS / 'train.py',
        repo_root / 'configs/mixing/own_segformer.py',
        '--work-dir',
        bench.folder / 'stock',
        '--cfg-options',
        *SHORT,
        without=('mcdrl_mmseg', 'open_clip'),
    )
    return run.work_dir / 'iter_2.pth'


@pytest.fixture(scope='module')
def one_more_base(bench, program, repo_root):
    """The same project with one more base, by MMSegmentation's own tool."""
    config = bench.folder / 'elsewhere' / 'own_segformer_mcdrl.py'
    config.parent.mkdir()
    example = repo_root / 'configs/mixing/own_segformer_mcdrl.py'
    own = repo_root / 'configs/mixing/own_segformer.py'
    base = "_base_ = ['./own_segformer.py', '../_base_/mcdrl.py']"
    assert base in example.read_text()
    elsewhere = (
        f"_base_ = ['{own}', __import__('mcdrl_mmseg').config_path('_base_/mcdrl.py')]"
    )
    config.write_text(example.read_text().replace(base, elsewhere))
    return program(
        'one_more_base',
        STOCK_TOOLS / 'train.py',
        config,
        '--work-dir',
        bench.folder / 'one_more_base',
        '--cfg-options',
        *SHORT,
        *(f'mcdrl.clip.{option}' for option in SMALL_CLIP),
        'mcdrl.head.dictionary.embed_dims=128',
    )


def test_one_more_base_config_makes_a_project_train_mcdrl(one_more_base):
    assert 'Confounder dictionary built: 1 classes, 12 confounders' in (
        one_more_base.output
    )
    lines = [line for line in one_more_base.scalars() if 'decode.loss_ce' in line]
    assert len(lines) == 2
    assert not any('decode.loss_causal' in line for line in lines)
    names = one_more_base.checkpoint('iter_2.pth')['state_dict']
    for part in ('backbone.backbone.', 'backbone.guide.', 'decode_head.predictor.'):
        assert any(name.startswith(part) for name in names), part


def test_the_work_folder_holds_a_plain_config_that_mmsegs_inference_reads(
    one_more_base, bench
):
    """The steps of MMSegmentation's demo notebook."""
    from mmseg.apis import (
        MMSegInferencer,
        inference_model,
        init_model,
        show_result_pyplot,
    )

    config = one_more_base.work_dir / 'own_segformer_mcdrl.py'
    checkpoint = one_more_base.work_dir / 'iter_2.pth'
    image = next((bench.sites_root / 'own/images/val').iterdir())
    model = init_model(str(config), str(checkpoint), device='cpu')
    assert type(model.decode_head).__name__ == 'CausalInterventionHead'
    assert model.dataset_meta['classes'] == ('background', 'polyp')
    result = inference_model(model, str(image))
    shape = cv2.imread(str(image)).shape[:2]
    assert tuple(result.pred_sem_seg.data.shape[1:]) == shape

    drawn = bench.folder / 'drawn.png'
    picture = show_result_pyplot(
        model, str(image), result, show=False, save_dir=None, out_file=str(drawn)
    )
    assert picture.shape[:2] == shape
    assert cv2.imread(str(drawn)).shape[:2] == shape

    inferencer = MMSegInferencer(str(config), str(checkpoint), device='cpu')
    found = inferencer(str(image), show=False)['predictions']
    assert np.array_equal(found, result.pred_sem_seg.data[0].numpy())


@pytest.fixture(scope='module')
def frozen(bench, repo_root, stock):
    """MCDRL over the stock model's checkpoint."""
    return bench.tool(
        'frozen',
        'train.py',
        repo_root / 'configs/mixing/mcdrl_frozen-segformer.py',
        options=[
            *SHORT,
            *(f'model.backbone.clip.{option}' for option in SMALL_CLIP),
            'model.decode_head.dictionary.embed_dims=128',
        ],
        fresh=False,
        OWN_DATA_ROOT=str(bench.sites_root / 'own'),
        SEGFORMER_CHECKPOINT=str(stock),
    )


def test_the_frozen_backbone_keeps_the_stock_weights_exactly(frozen, stock):
    before = torch.load(stock, weights_only=False)['state_dict']
    after = frozen.checkpoint('iter_2.pth')['state_dict']
    names = [name for name in before if name.startswith('backbone.')]
    assert len(names) > 100
    for name in names:
        assert torch.equal(before[name], after[f'backbone.{name}']), name


def test_predictor_and_intervention_are_trained_from_the_stock_checkpoint(
    frozen, stock
):
    before = torch.load(stock, weights_only=False)['state_dict']
    after = frozen.checkpoint('iter_2.pth')['state_dict']
    weight = 'convs.0.conv.weight'
    old = before[f'decode_head.{weight}']
    new = after[f'decode_head.predictor.{weight}']
    # Two steps of AdamW at a rate of 1e-4 move each weight by about as much.
    assert 0 < (new - old).abs().max() < 1e-3
    state = frozen.checkpoint('iter_2.pth')
    trained = len(state['optimizer']['state'])
    parts = [n for n in after if n.startswith('decode_head.intervention.')]
    assert trained > len(parts) / 2 > 10


def test_a_stock_checkpoint_is_scored_by_our_metric(
    bench, repo_root, stock, monkeypatch
):
    monkeypatch.setenv('MCDRL_DATA_ROOT', str(bench.sites_root))
    cfg = load_config(
        repo_root / STOCK,
        {'test_dataloader.num_workers': 0, 'load_from': str(stock)},
        work_dir=str(bench.folder / 'scored'),
    )
    metrics = build_runner(cfg).test()
    assert metrics['images'] == 6
    assert 0 <= metrics['site/polypgen_c1/mDice_fg'] <= 100


def test_leave_one_site_out_runs_a_stock_model_without_clip(bench, program, repo_root):
    config = bench.folder / 'own_sites.py'
    sites = ', '.join(f"dict(name='{s}', lesion_classes=['polyp'])" for s in SITES)
    loader = 'dict(num_workers=0, persistent_workers=False, batch_size=2)'
    config.write_text(
        f"_base_ = ['{repo_root / STOCK}']\n"
        f'sites = [{sites}]\n'
        f'train_dataloader = val_dataloader = test_dataloader = {loader}\n'
        'train_cfg = dict(max_epochs=1)\n'
    )
    out = bench.folder / 'loso'
    program(
        'loso',
        '-m',
        'mcdrl_lab',
        'leave-one-site-out',
        f'segformer={config}',
        '--sites',
        SITES[1],
        '--seeds',
        1,
        '--out',
        out,
        without=('open_clip',),
    )
    (record,) = read_records(out / 'records.jsonl')
    assert (record.method, record.held_out) == ('segformer', SITES[1])
    assert 'segformer' in (out / 'table_dice.md').read_text()
