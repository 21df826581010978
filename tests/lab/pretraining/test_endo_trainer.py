"""Endoscopy pretraining trains what it should, and resumes exactly after a kill."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from mcdrl_lab.pretraining import endo_trainer
from mcdrl_lab.pretraining.endo_pack import TRAIN, load_pack
from mcdrl_lab.pretraining.endo_trainer import (
    TEXT_TOWERS,
    CaptionBank,
    EndoBatches,
    EndoSettings,
    pretrain_endo,
)
from mcdrl_lab.pretraining.endo_words import NORMAL, POLYP
from mcdrl_lab.pretraining.training_loop import CHECKPOINT, PretrainingError

SETTINGS = EndoSettings(steps=4, batch_size=6, side=64, warmup_steps=2, frozen_blocks=5)


@pytest.fixture(scope='module')
def train(endo_pack_root, toy_imagenet, toy_sentences):
    torch.set_num_threads(1)
    pack, bank = load_pack(endo_pack_root, TRAIN), CaptionBank(toy_sentences)

    def run(folder, settings=SETTINGS, log=str):
        return pretrain_endo(
            settings, pack, toy_imagenet, folder, log=log, bank=bank, workers=0
        )

    return run


@pytest.fixture(scope='module')
def unbroken(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp('unbroken'))


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_resumed_training_equals_an_uninterrupted_one(
    train, unbroken, tmp_path, monkeypatch
):
    monkeypatch.setattr(endo_trainer, '_SAVE_EVERY', 2)
    losses = endo_trainer.endo_losses
    calls = []

    def until_step_3(*args):
        calls.append(1)
        if len(calls) == 4:
            raise Killed
        return losses(*args)

    monkeypatch.setattr(endo_trainer, 'endo_losses', until_step_3)
    with pytest.raises(Killed):
        train(tmp_path)
    monkeypatch.setattr(endo_trainer, 'endo_losses', losses)
    resumed = train(tmp_path)
    for key, value in unbroken.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_frozen_parts_stay_unchanged_and_others_are_trained(
    train, unbroken, toy_imagenet
):
    from mcdrl_lab.pretraining.endo_model import EndoCLIP, load_imagenet

    first = EndoCLIP(SETTINGS.model_name)
    load_imagenet(first.visual, toy_imagenet)
    before, after = first.visual.state_dict(), unbroken.visual.state_dict()
    assert torch.equal(
        before['trunk.blocks.4.0.conv_dw.weight'],
        after['trunk.blocks.4.0.conv_dw.weight'],
    )
    assert torch.equal(
        before['trunk.bn2.running_mean'], after['trunk.bn2.running_mean']
    )
    assert not torch.equal(
        before['trunk.conv_head.weight'], after['trunk.conv_head.weight']
    )


def test_a_checkpoint_of_other_settings_is_refused(train, tmp_path):
    train(tmp_path, dataclasses.replace(SETTINGS, steps=1))
    assert (tmp_path / CHECKPOINT).is_file()
    with pytest.raises(PretrainingError, match='another --work-dir'):
        train(tmp_path)


def test_the_control_trains_a_text_tower_from_scratch(
    endo_pack_root, toy_imagenet, tmp_path
):
    settings = dataclasses.replace(
        SETTINGS, model_name=TEXT_TOWERS['transformer'], steps=1, warmup_steps=1
    )
    first = endo_trainer._new_model(settings, toy_imagenet).state_dict()
    # Without a given bank, open_clip's tokenizer encodes the captions.
    trained = pretrain_endo(
        settings,
        load_pack(endo_pack_root, TRAIN),
        toy_imagenet,
        tmp_path,
        log=str,
        workers=0,
    ).state_dict()
    for key in ('text.token_embedding.weight', 'text.text_projection'):
        assert not torch.equal(first[key], trained[key]), key


def test_token_ids_get_no_noise():
    bank = CaptionBank(lambda texts: torch.arange(32).expand(len(texts), 32))
    claims, encoded = endo_trainer._draw_texts(bank, SETTINGS, 0)
    assert torch.equal(encoded, torch.arange(32).expand(len(claims), 32))


@pytest.mark.parametrize('weight', [-1.0, float('nan'), float('inf')])
def test_an_invalid_region_weight_is_refused(weight):
    with pytest.raises(PretrainingError, match=r'region_weight=.*expected 0 or more'):
        EndoSettings(region_weight=weight)


def test_a_non_finite_loss_stops_the_training(train, tmp_path, monkeypatch):
    losses = endo_trainer.endo_losses

    def broken(*args):
        return {k: v * float('nan') for k, v in losses(*args).items()}

    monkeypatch.setattr(endo_trainer, 'endo_losses', broken)
    with pytest.raises(PretrainingError, match='step 1'):
        train(tmp_path)


def test_workers_are_forked_while_opencv_uses_a_single_thread(
    train, tmp_path, monkeypatch
):
    # A forked worker would wait forever for OpenCV's threads.
    threads = []

    class Loader(torch.utils.data.DataLoader):
        def __iter__(self):
            threads.append(cv2.getNumThreads())
            return super().__iter__()

    monkeypatch.setattr(endo_trainer, 'DataLoader', Loader)
    cv2.setNumThreads(2)
    train(tmp_path, dataclasses.replace(SETTINGS, steps=1))
    assert threads == [1]


def test_a_batch_is_reproducible_by_its_step(endo_pack_root):
    pack = load_pack(endo_pack_root, TRAIN)
    batches = EndoBatches(pack, SETTINGS)
    first, again, other = batches[0], batches[0], batches[1]
    assert all(torch.equal(first[k].nan_to_num(), again[k].nan_to_num()) for k in first)
    assert not torch.equal(first['images'], other['images'])
    assert first['images'].shape == (6, 64, 64, 3)
    assert not first['masks'][~first['known']].any()


def test_the_caption_bank_draws_lesions_first_and_every_condition_once(toy_sentences):
    bank = CaptionBank(toy_sentences)
    claims, vectors = bank.draw(np.random.default_rng(0))
    assert [c.lesion for c in claims[:6]] == [POLYP] * 3 + [NORMAL] * 3
    plain = [c.condition for c in claims if c.lesion is None and c.grade is None]
    assert sorted(plain) == list(range(12))
    assert vectors.shape == (len(claims), 384)
