"""The record of a comparison; times are given, everything else is measured."""

import json

import numpy as np
import pytest

from mcdrl_lab.benchmarks import side_by_side as comparison
from mcdrl_lab.benchmarks.counting import count_parameters
from mcdrl_lab.benchmarks.models import against
from mcdrl_lab.benchmarks.part_shares import PARTS
from mcdrl_lab.benchmarks.side_by_side import compare
from mcdrl_lab.benchmarks.steps import Setting

_TIMES = [[10.0, 20.0], [12.0, 48.0], [14.0, 56.0], [16.0, 32.0], [18.0, 36.0]]


@pytest.fixture
def clock(monkeypatch) -> dict:
    """Replace measured times by ``_TIMES``; return the arguments of the call."""
    asked = {}

    def given_times(steps, rounds, warm_up, device, cpu_time):
        asked.update(rounds=rounds, warm_up=warm_up, device=device, cpu_time=cpu_time)
        for step in steps:
            asked.setdefault('results', []).append(step())
        return np.array(_TIMES)[:, : len(steps)]

    monkeypatch.setattr(comparison, 'time_in_turns', given_times)
    return asked


def test_times_are_medians_and_ratios_compare_the_first_model_with_each(vit, clock):
    subjects = [vit, against(vit, 'FCNHead')]
    setting = Setting(size=64, batch_size=3)
    own, stock = compare(subjects, 'inference', setting, 5, count=False)
    assert own['milliseconds'] == dict(median=14, low=12, high=16)
    assert own['images_per_second'] == pytest.approx(3 * 1000 / 14)
    assert own['ratio'] is None
    assert stock['milliseconds'] == dict(median=36, low=32, high=48)
    # 1/2, 1/4, 1/4, 1/2, 1/2: five pairs are too few for 95%, so the extremes.
    assert stock['ratio'] == dict(median=0.5, low=0.25, high=0.5)
    assert (clock['rounds'], clock['warm_up'], clock['cpu_time']) == (5, 3, False)
    assert [tuple(logits.shape) for logits in clock['results']] == [(3, 2, 8, 8)] * 2


def test_a_record_contains_what_was_measured_and_how(vit, clock):
    setting = Setting(size=64, amp=True, channels_last=True)
    (record,) = compare([vit], 'inference', setting, 2, count=False, cpu_time=True)
    assert record == dict(
        name=vit.name,
        mode='inference',
        device='cpu',
        batch_size=1,
        size=64,
        amp=True,
        compile=False,
        channels_last=True,
        cpu_time=True,
        parameters=count_parameters(vit.build()),
        milliseconds=dict(median=14, low=12, high=16),
        images_per_second=1000 / 14,
        ratio=None,
    )
    assert (clock['warm_up'], clock['cpu_time']) == (2, True)


def test_each_record_has_its_counts_and_can_be_written_as_json(vit, clock):
    subjects = [vit, against(vit, 'FCNHead')]
    own, stock = compare(subjects, 'inference', Setting(size=64), 1)
    assert json.loads(json.dumps([own, stock])) == [own, stock]
    more = vit.build().decode_head.intervention
    assert own['parameters'] - stock['parameters'] == count_parameters(more)
    # FCN's first convolution alone: 3 x 3, 128 to 64 channels, 8 x 8 positions.
    assert own['flops'] > stock['flops'] > 2 * 9 * 128 * 64 * 64
    for record in (own, stock):
        assert 4 * record['parameters'] < record['peak_memory'] < 2**30
        assert tuple(record['shares']) == PARTS
        assert sum(record['shares'].values()) == pytest.approx(1)
    assert own['shares']['intervention'] > 0 == stock['shares']['intervention']


def test_a_bare_tower_has_flops_but_no_shares_of_parts(vit, clock):
    subjects = [vit, against(vit, 'tower')]
    own, tower = compare(subjects, 'inference', Setting(size=112), 1)
    assert tower['name'] == 'bare tower'
    # All feed-forward blocks, the last of which the dense map does not use: two layers
    # between 192 and 768 in each of six, for 14 x 14 patches and the pooled token.
    feed_forward = 6 * 2 * 2 * 192 * 768 * (14 * 14 + 1)
    assert tower['flops'] > feed_forward
    assert own['flops'] > feed_forward * 5 / 6
    assert 'shares' in own and 'shares' not in tower
    assert own['parameters'] > tower['parameters']


def test_training_is_a_whole_step_with_backward_pass_and_optimiser(resnet, clock):
    setting = Setting(size=64, batch_size=2)
    (step,) = compare([resnet], 'train', setting, 1)
    (forward,) = compare([resnet], 'inference', setting, 1)
    # One more product for each gradient of inputs and weights, except the images.
    assert 2 * forward['flops'] < step['flops'] < 4 * forward['flops']
    # Weights, gradients and AdamW's two moments.
    assert step['peak_memory'] > 4 * 4 * step['parameters']
    assert step['shares']['losses'] > 0
    assert {'decode.loss_ce', 'decode.loss_causal'} <= clock['results'][0].keys()


@pytest.mark.parametrize('left_out', [dict(count=False), dict(compiled=True)])
def test_counts_are_left_out_on_request_and_in_a_compiled_model(
    vit, monkeypatch, left_out
):
    monkeypatch.setattr(comparison, 'time_in_turns', lambda *_: np.array(_TIMES[:1]))
    setting = Setting(size=64, compile=left_out.get('compiled', False))
    count = left_out.get('count', True)
    (record,) = compare([vit], 'inference', setting, 1, count)
    assert not {'flops', 'peak_memory', 'shares'} & set(record)
    assert record['parameters'] > 0
