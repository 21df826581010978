"""Two processes on a CPU: ZeRO, what is communicated, batch norm, and its cost."""

import json
from pathlib import Path

import pytest

_PROBE = Path(__file__).parent / 'probe'
_CONFIG = """
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
"""


@pytest.fixture(scope='module')
def ranks(new_bench, drawn_sites):
    """What train_in_processes.py found, by rank."""
    bench = new_bench('distributed_training', drawn_sites)
    config = bench.config('model', _CONFIG)
    bench.start_ranks(
        'training', _PROBE / 'train_in_processes.py', config, bench.folder
    )
    files = [bench.folder / f'training_rank{rank}.json' for rank in (0, 1)]
    return [json.loads(file.read_text()) for file in files]


def test_zero_trains_like_adamw_with_half_of_its_state_per_process(ranks):
    for rank in ranks:
        found = rank['zero']
        assert found['moved'] > 1e-3
        assert found['gap'] < 1e-6
        assert 0.4 < found['share'] < 0.6
    assert sum(rank['zero']['share'] for rank in ranks) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize('how', ['with', 'without'])
def test_a_checkpoint_of_zero_can_be_resumed_with_and_without_zero(ranks, how):
    for rank in ranks:
        assert rank['zero'][f'resumed {how}'] < 1e-6


def test_only_gradients_of_trained_weights_are_reduced(ranks):
    for rank in ranks:
        found = rank['communication']
        assert found['frozen'] > 0
        assert found['counted'] == found['expected'] > 0


def test_no_buffer_is_broadcast_in_a_step(ranks):
    offsets = [rank['communication']['buffer_offset'] for rank in ranks]
    assert offsets == pytest.approx([0, 1], abs=1e-6)


def test_synchronised_batch_norm_on_a_cpu_is_an_error_that_asks_for_a_gpu(ranks):
    for rank in ranks:
        assert 'only work with GPU modules' in rank['shared_batch_norm']
