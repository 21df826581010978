"""The plain loop learns, counts its images and scores as the metric does."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from mcdrl_lab.benchmarks import plain_loop_run
from mcdrl_lab.benchmarks.plain_loop import (
    Loop,
    Pair,
    PlainNetwork,
    dice_of_lesions,
    images_a_second,
    plain_loss,
    read_batch,
    training_steps,
)
from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError


@pytest.fixture
def pairs(tmp_path) -> list[Pair]:
    """Six images of 32 x 48, whose lesion is the bright upper half; one is healthy."""
    found = []
    for n in range(6):
        image = np.full((32, 48, 3), 60, np.uint8)
        mask = np.zeros((32, 48), np.uint8)
        if n:
            image[:16] = 220
            mask[:16] = 255
        pair = Pair(tmp_path / f'{n}.png', tmp_path / f'{n}_mask.png')
        cv2.imwrite(str(pair.image), image)
        cv2.imwrite(str(pair.mask), mask)
        found.append(pair)
    return found


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_a_batch_is_normalised_and_resized(pairs):
    images, truth = read_batch(pairs[:2], 64)
    assert images.shape == (2, 3, 64, 64)
    assert truth.sum(dim=(1, 2, 3)).tolist() == [0, 64 * 32]
    # 60 of 255 in red, with CLIP's mean of 0.48145466 and deviation of 0.26862954.
    assert images[0, 0].mean() == pytest.approx(
        (60 / 255 - 0.48145) / 0.26863, abs=1e-3
    )


def test_the_loss_is_the_sum_of_cross_entropy_and_dice_loss():
    truth = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    # Probabilities of one half: cross-entropy log 2, Dice 2 * 0.5 / (1 + 1 + 1).
    loss = plain_loss(torch.zeros(1, 1, 1, 2), truth)
    assert loss.item() == pytest.approx(np.log(2) + 1 - 1 / 3)


def test_every_image_is_used_once_per_epoch_and_the_loss_falls(pairs):
    model = PlainNetwork(None, channels=8)
    images, truth = read_batch(pairs, 64)
    before = plain_loss(model.train()(images), truth).item()
    # Enough epochs for the loss to fall with the rounding of any machine.
    counts = list(training_steps(model, pairs, Loop(size=64, batch_size=4, epochs=12)))
    assert counts == [4, 2] * 12
    assert plain_loss(model(images), truth).item() < before


def test_dice_is_computed_for_images_with_a_lesion_at_their_own_size(pairs):
    def upper_quarter(images):
        logits = torch.full((1, 1, 32, 32), -9.0)
        logits[:, :, :8] = 9.0
        return logits

    # 8 of 16 rows found and none wrong: 2 * 8 / (8 + 16).
    assert dice_of_lesions(upper_quarter, pairs, 32) == pytest.approx([2 / 3] * 5)


def test_speed_counts_only_the_images_of_the_timed_steps(monkeypatch):
    clock = iter([10.0, 14.0])
    monkeypatch.setattr('time.process_time', lambda: next(clock))
    assert images_a_second(iter([1, 1, 1, 16, 16, 8, 99]), 3) == 10.0


def test_the_trainers_speed_leaves_out_its_first_steps(monkeypatch):
    hook = plain_loop_run._StepTimes(steps=2)
    clock = iter([1.0, 2.0, 3.0, 7.0, 11.0])
    monkeypatch.setattr('time.process_time', lambda: next(clock))
    batch = dict(inputs=[0] * 16)
    for n in range(4):
        hook.after_train_iter(SimpleNamespace(), n, batch)
    with pytest.raises(plain_loop_run._Timed):
        hook.after_train_iter(SimpleNamespace(), 4, batch)
    # 32 images from the end of the third step, at 3 s, to the end of the fifth.
    assert hook.images_a_second == 4.0


def test_an_unknown_site_is_refused_with_the_existing_ones(tmp_path):
    (tmp_path / 'a' / 'images').mkdir(parents=True)
    with pytest.raises(ProtocolError, match=r"--held-out b: .* holds \['a'\]"):
        plain_loop_run.site_pairs(tmp_path, 'b', 'train')


def test_training_pairs_are_of_the_other_sites_and_test_pairs_of_the_held_out_one(
    data_root,
):
    pairs = plain_loop_run.site_pairs(data_root, 'polypgen_c1', 'train')
    sites = {pair.image.parent.parent.name for pair in pairs}
    assert 'polypgen_c1' not in sites and len(sites) == 5
    test = plain_loop_run.site_pairs(data_root, 'polypgen_c1', 'test')
    assert len(test) == 256


def test_writing_speeds_without_a_config_to_compare_with_is_refused(tmp_path, capsys):
    out = tmp_path / 'speeds.json'
    assert main(['plain-loop', str(tmp_path), '--out', str(out)]) == 2
    assert 'without --against there is no speed to write' in capsys.readouterr().err


def test_a_foreign_file_is_not_replaced_even_with_overwrite(tmp_path, capsys):
    (tmp_path / 'notes.json').write_text('mine')
    words = ['--against', 'c.py', '--out', str(tmp_path / 'notes.json'), '--overwrite']
    assert main(['plain-loop', str(tmp_path), *words]) == 2
    assert 'notes.json, not written here' in capsys.readouterr().err
    assert (tmp_path / 'notes.json').read_text() == 'mine'


def test_speeds_replace_those_of_the_same_config_and_of_another_only_on_request(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(plain_loop_run, 'site_pairs', lambda *_: [])
    monkeypatch.setattr(plain_loop_run, 'PlainNetwork', lambda *_: None)
    monkeypatch.setattr(plain_loop_run, 'training_steps', lambda *_: iter(()))
    monkeypatch.setattr(plain_loop_run, 'images_a_second', lambda *_: 2.0)
    monkeypatch.setattr(plain_loop_run, '_trainer_speed', lambda *_: 1.0)
    out = str(tmp_path / 'speeds.json')
    words = ['plain-loop', str(tmp_path), '--imagenet', 'x', '--out', out, '--against']
    assert [main([*words, 'a.py']) for _ in range(2)] == [0, 0]
    assert main([*words, 'b.py']) == 2
    assert 'a.py. Choose another --out' in capsys.readouterr().err
    assert main([*words, 'b.py', '--overwrite']) == 0
