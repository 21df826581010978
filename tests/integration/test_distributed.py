"""Two processes on a CPU, with gloo, give the result of one with the joint batch."""

import json
import math
import socket
from pathlib import Path

import pytest
import torch

_REPO_ROOT = Path(__file__).resolve().parents[2]
_PROBE = Path(__file__).parent / 'probe'

# No batch norm and no dropout, with which two processes would differ from one.
_CONFIG = """
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=0),
    dict(type='ProbeHook'),
]
default_hooks = dict(
    logger=dict(interval=1),
    dataset_check=dict(allow=['same file in two splits']),
)
model = dict(
    backbone=dict(
        _delete_=True, type='CLIPVisionBackbone', model_name='mcdrl-tiny-vit'
    ),
    decode_head=dict(
        predictor=dict(
            _delete_=True,
            type='FCNHead',
            in_channels=128,
            in_index=-1,
            channels=32,
            num_convs=1,
            concat_input=False,
            dropout_ratio=0,
            num_classes=2,
            norm_cfg=dict(type='GN', num_groups=4),
            align_corners=False,
            loss_decode=dict(type='CrossEntropyLoss'),
        ),
    ),
)
_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLesionMask'),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='PackSegInputs', meta_keys={{_base_.meta_keys}}),
]
_site = [dict(name='uneven', lesion_classes=['polyp'])]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(shuffle=False),
    dataset=dict(sites=_site, split='all', pipeline=_pipeline),
)
_rest = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(sites=_site, split='all', max_images=5),
)
val_dataloader = _rest
test_dataloader = _rest
val_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=True)
test_evaluator = val_evaluator
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3)
)
param_scheduler = []
train_cfg = dict(max_epochs=1)
"""

# The processes take images in turn: in the first step the second gets no lesion.
_HAS_LESION = [True, False, True, False, True, True, False, True]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope='module')
def bench(new_bench, site_drawer, tmp_path_factory):
    root = tmp_path_factory.mktemp('uneven_site')
    site_drawer(root / 'uneven', _HAS_LESION, seed=3)
    return new_bench('distributed', root)


@pytest.fixture(scope='module')
def config(bench):
    return bench.config('two_steps', _CONFIG)


@pytest.fixture(scope='module')
def together(bench, config):
    """tools/dist_train.sh with two processes and two images each, from a cold cache."""
    run = bench.start(
        'together',
        _REPO_ROOT / 'tools' / 'dist_train.sh',
        config,
        2,
        '--work-dir',
        bench.folder / 'together',
        '--cfg-options',
        'train_dataloader.batch_size=2',
        PORT=free_port(),
    )
    return run


@pytest.fixture(scope='module')
def alone(bench, config, together):
    """tools/train.py with four images."""
    return bench.tool('alone', 'train.py', config, fresh=False)


def test_both_ranks_have_the_same_dictionary_from_one_text_pass(together):
    assert together.text_passes == [40]
    ranks = [
        torch.load(together.probe_dir / f'dictionary_rank{rank}.pt') for rank in (0, 1)
    ]
    assert bool(ranks[0]['built'])
    assert float(ranks[0]['confounder_embeddings'].norm(dim=1).min()) > 0.99
    for name in ranks[0]:
        assert torch.equal(ranks[0][name], ranks[1][name]), name


def test_weights_after_two_steps_equal_those_of_one_process(together, alone):
    start = torch.load(alone.probe_dir / 'initial_rank0.pt')
    one = alone.checkpoint('epoch_1.pth')['state_dict']
    two = together.checkpoint('epoch_1.pth')['state_dict']
    assert one.keys() == two.keys()
    trained = [name for name in one if not torch.equal(one[name], start[name])]
    # Every layer of the tower, the intervention and the predictor has moved.
    assert len(trained) > 100
    for name in one:
        step = (one[name].double() - start[name].double()).norm()
        gap = (one[name].double() - two[name].double()).norm()
        # Softmax does not see a key's bias: its gradient is rounding alone.
        # No two sums agree beyond the last digit of a float32.
        limit = 1e-3 * step + 2**-23 * one[name].double().abs().max() + 1e-9
        assert gap <= limit, f'{name}: {gap:.2e} apart after a step of {step:.2e}'


def test_two_processes_log_the_same_steps_and_learning_rates(together, alone):
    steps = [line for line in alone.scalars() if 'loss' in line]
    shared = [line for line in together.scalars() if 'loss' in line]
    assert len(steps) == len(shared) == 2
    # A rank logs its own share of the batch, so only the steps' number and rate agree.
    assert [line['lr'] for line in steps] == [line['lr'] for line in shared]
    assert all(math.isfinite(line['loss']) for line in shared)


def test_two_processes_score_a_checkpoint_as_one_does(bench, config, alone):
    # Five images over two processes: one image comes twice and must count once.
    run = bench.start(
        'tested_together',
        _REPO_ROOT / 'tools' / 'dist_test.sh',
        config,
        alone.work_dir / 'epoch_1.pth',
        2,
        '--work-dir',
        bench.folder / 'tested_together',
        PORT=free_port(),
    )
    expected = [line for line in alone.scalars() if 'mDice_fg' in line][-1]
    found = run.test_metrics()
    assert found['images'] == 5
    for name in set(found) - {'time', 'data_time'}:
        if not math.isnan(expected[name]):
            assert found[name] == expected[name], name


@pytest.fixture(scope='module')
def gradients(bench, config):
    bench.start_ranks(
        'gradients', _PROBE / 'step_in_processes.py', config, bench.folder
    )
    files = [bench.folder / f'gradients_rank{rank}.json' for rank in (0, 1)]
    return [json.loads(file.read_text()) for file in files]


@pytest.mark.parametrize(
    'variant',
    [
        'attention',
        'attention without contrast',
        'expectation',
        'expectation without contrast',
        'sampling',
        'sampling without contrast',
        'gate at 0',
        'no losses besides segmentation',
        'tower used up to an early level alone',
        'no selection',
        'unselected to zero',
        'no intervention',
        'learned dictionary',
        'observed confounders',
        'observed learned dictionary',
        'self-attention',
        'frozen tower',
        'partly frozen tower',
    ],
)
def test_gradients_equal_those_of_the_joint_batch(gradients, variant):
    for rank in gradients:
        gap = rank[variant]
        assert not isinstance(gap, str), gap
        assert gap < 1e-4, f'a gradient differs by {gap:.1e} of its size'
