"""Pretraining learns, and resumes exactly after a kill."""

import dataclasses

import numpy as np
import pytest
import torch

from mcdrl_lab.pretraining.scene_pool import PoolSettings, draw_pool
from mcdrl_lab.pretraining.trainer import Settings, pretrain
from mcdrl_lab.pretraining.training_loop import (
    CHECKPOINT,
    PretrainingError,
    learning_share,
)

SETTINGS = Settings(steps=6, batch_size=8, warmup_steps=2)


@pytest.fixture(scope='module')
def pool():
    return draw_pool(PoolSettings(count=16))


@pytest.fixture(scope='module')
def unbroken(pool, tmp_path_factory):
    return pretrain(SETTINGS, pool, tmp_path_factory.mktemp('unbroken'), log=str)


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_resumed_training_equals_an_uninterrupted_one(
    pool, unbroken, tmp_path, monkeypatch
):
    from mcdrl_lab.pretraining import trainer

    monkeypatch.setattr(trainer, '_SAVE_EVERY', 2)
    losses = trainer._losses

    def until_step_3(model, settings, pool, step, device):
        if step == 3:
            raise Killed
        return losses(model, settings, pool, step, device)

    monkeypatch.setattr(trainer, '_losses', until_step_3)
    with pytest.raises(Killed):
        pretrain(SETTINGS, pool, tmp_path, log=str)
    monkeypatch.setattr(trainer, '_losses', losses)
    resumed = pretrain(SETTINGS, pool, tmp_path, log=str)
    expected = unbroken.state_dict()
    for key, value in resumed.state_dict().items():
        assert torch.equal(value, expected[key]), key


def test_a_finished_training_is_not_repeated(pool, tmp_path, monkeypatch):
    from mcdrl_lab.pretraining import trainer

    settings = dataclasses.replace(SETTINGS, steps=1)
    pretrain(settings, pool, tmp_path, log=str)
    monkeypatch.setattr(trainer, '_losses', None)
    pretrain(settings, pool, tmp_path, log=str)


def test_training_lowers_both_losses(pool, tmp_path):
    lines = []
    settings = dataclasses.replace(SETTINGS, steps=20, batch_size=16)
    pretrain(settings, pool, tmp_path, log=lines.append)
    values = [[float(line.split()[place]) for place in (3, 5)] for line in lines]
    assert values[-1][0] < values[0][0]
    assert values[-1][1] < values[0][1]


@pytest.mark.parametrize(('region_weight', 'same'), [(0.0, True), (0.5, False)])
def test_masks_have_an_effect_only_with_the_region_loss(
    pool, tmp_path, region_weight, same
):
    settings = dataclasses.replace(SETTINGS, steps=2, region_weight=region_weight)
    unmasked = dataclasses.replace(pool, masks=np.zeros_like(pool.masks))
    masked, blind = (
        pretrain(settings, each, tmp_path / name, log=str).state_dict()
        for name, each in (('masked', pool), ('blind', unmasked))
    )
    assert same == all(torch.equal(masked[key], blind[key]) for key in masked)


@pytest.mark.parametrize('weight', [-0.5, float('nan'), float('inf')])
def test_an_invalid_region_weight_is_refused(weight):
    with pytest.raises(PretrainingError, match='expected 0 or more'):
        dataclasses.replace(SETTINGS, region_weight=weight)


def test_a_checkpoint_of_other_settings_is_refused_and_named(pool, tmp_path):
    pretrain(dataclasses.replace(SETTINGS, steps=1), pool, tmp_path, log=str)
    with pytest.raises(PretrainingError, match=f'{CHECKPOINT}.*--work-dir'):
        pretrain(SETTINGS, pool, tmp_path, log=str)


def test_a_non_finite_loss_stops_the_training_before_a_checkpoint(
    pool, tmp_path, monkeypatch
):
    from mcdrl_lab.pretraining import trainer

    losses = trainer._losses
    monkeypatch.setattr(
        trainer,
        '_losses',
        lambda *args: {n: v * float('nan') for n, v in losses(*args).items()},
    )
    with pytest.raises(PretrainingError, match='step 1: the loss is'):
        pretrain(dataclasses.replace(SETTINGS, steps=1), pool, tmp_path, log=str)
    assert not (tmp_path / CHECKPOINT).exists()


def test_learning_rate_grows_then_falls_along_a_cosine():
    settings = Settings(steps=100, warmup_steps=10)
    assert learning_share(settings, 0) == pytest.approx(0.1)
    assert learning_share(settings, 50) == pytest.approx(0.5)
    assert learning_share(settings, 99) < 0.0005
