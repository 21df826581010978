import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mcdrl_lab.benchmarks.communication import (
    communication_table,
    ring_all_reduce_seconds,
    trained_bytes,
)


def test_trained_weights_count_and_frozen_ones_and_buffers_do_not():
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 5)
    )
    model[2].requires_grad_(False)
    assert trained_bytes(model) == 4 * (3 * 2 + 2 + 2 + 2)
    assert trained_bytes(model.bfloat16()) == 2 * (3 * 2 + 2 + 2 + 2)


@pytest.mark.parametrize(
    ('processes', 'seconds'),
    [(1, 0.0), (2, 1.0), (8, 1.75), (64, 1.96875)],
)
def test_ring_sends_twice_the_data_but_for_a_processs_own_share(processes, seconds):
    assert ring_all_reduce_seconds(10**9, processes, 1e9) == pytest.approx(seconds)


def test_table_counts_the_weights_of_a_config_that_is_not_built(repo_root):
    config = (
        repo_root
        / 'configs/mcdrl'
        / ('mcdrl_clip-tiny-vit_fcn_5e_endoscopy-sites-128x128.py')
    )
    (row,) = communication_table([str(config)], [8], [2.0])
    init_default_scope('mmseg')
    model = MODELS.build(Config.fromfile(config).model)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert row['trained'] == trained
    assert row['megabytes'] == pytest.approx(4e-6 * trained)
    assert row['8 x 2 GB/s'] == pytest.approx(1000 * 1.75 * 4 * trained / 2e9)
