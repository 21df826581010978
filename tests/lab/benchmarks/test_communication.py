import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

import mcdrl_mmseg
from mcdrl_lab.benchmarks.communication import (
    communication_table,
    ring_all_reduce_seconds,
    trained_bytes,
)


def test_trained_bytes_count_no_frozen_weights_and_no_buffers():
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
def test_ring_sends_twice_the_data_except_for_the_own_share_of_each_process(
    processes, seconds
):
    assert ring_all_reduce_seconds(10**9, processes, 1e9) == pytest.approx(seconds)


def test_table_has_the_trained_weights_and_times_of_a_config(repo_root):
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


def test_mcdrl_added_to_a_stock_config_is_counted(tmp_path):
    values = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
    model = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', bgr_to_rgb=True, **values),
        backbone=dict(type='ResNetV1c', depth=18),
        decode_head=dict(
            type='FCNHead', in_channels=512, channels=8, num_classes=2, in_index=3
        ),
    )
    prompts = dict(classes=['polyp'])
    mcdrl = dict(head=dict(dictionary=dict(prompts=prompts)))
    plain, over = tmp_path / 'plain.py', tmp_path / 'over.py'
    plain.write_text(f'model = {model!r}\n')
    base = mcdrl_mmseg.config_path('_base_/mcdrl.py')
    over.write_text(f'_base_ = [{str(base)!r}]\nmodel = {model!r}\nmcdrl = {mcdrl!r}\n')
    rows = communication_table([plain, over], [2], [1.0])
    assert rows[1]['trained'] > rows[0]['trained']
