"""The shipped tiny CLIP has the scores of its model card, on unseen scenes."""

import hashlib

import numpy as np
import pytest
import torch

from mcdrl_lab.pretraining.encoding import Encoded
from mcdrl_lab.pretraining.scene_pool import PoolSettings, draw_pool
from mcdrl_lab.pretraining.tiny_clip import TEST_SEED, TRAIN_SEED
from mcdrl_lab.pretraining.zero_shot import kept_shares
from mcdrl_lab.pretraining.zero_shot_table import score_clip, scores_table
from mcdrl_mmseg.clip.builtin import BUILTIN, builtin_weights
from mcdrl_mmseg.clip.towers import CLIPSpec

MODEL = 'mcdrl-tiny-rn'
MEGABYTE = 2**20


@pytest.fixture(scope='module')
def scores():
    assert TEST_SEED != TRAIN_SEED
    pool = draw_pool(PoolSettings(count=500, seed=TEST_SEED))
    return score_clip(CLIPSpec(MODEL, BUILTIN), pool)


def test_texts_classify_at_least_80_percent_of_the_lesions(scores):
    assert scores.by_mode['maskclip'].lesion_accuracy >= 0.80


def test_texts_detect_every_confounder(scores):
    auc = scores.by_mode['maskclip'].confounder_auc
    assert len(auc) == 12
    assert min(auc.values()) >= 0.85


def test_region_selection_keeps_at_least_90_percent_of_the_lesions(scores):
    assert scores.by_mode['maskclip'].lesions_kept >= 0.90


def test_shuffled_prompts_score_at_chance(scores):
    accuracy = np.mean([other.lesion_accuracy for other in scores.shuffled])
    assert abs(accuracy - 1 / 5) < 0.08
    # A shuffle leaves one of twelve prompts in its place on average.
    whole = np.mean(list(scores.by_mode['maskclip'].confounder_auc.values()))
    auc = np.mean([list(s.confounder_auc.values()) for s in scores.shuffled])
    assert abs(auc - (0.5 + (whole - 0.5) / 12)) < 0.05


def test_the_table_shows_every_score(scores):
    table = scores_table(scores)
    for name, value in scores.by_mode['maskclip'].confounder_auc.items():
        assert f'{name}, AUC' in table
        assert f'{value:.3f}' in table


def test_weights_are_small_and_have_the_hash_of_the_model_card():
    path = builtin_weights(MODEL)
    assert path.stat().st_size <= 8 * MEGABYTE
    card = path.with_suffix('.md').read_text(encoding='utf-8')
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card


def test_kept_shares_count_lesion_pixels_in_the_selected_cells():
    # Four cells of 2 x 2 pixels; the text points at the first two.
    dense = torch.tensor([[[[1.0, 0.9], [-1.0, -0.9]], [[0.1, 0.1], [0.1, 0.1]]]])
    encoded = Encoded(torch.zeros(1, 2), dense)
    mask = np.zeros((1, 4, 4), bool)
    mask[0, 1:3, :3] = True
    share = kept_shares(encoded, torch.tensor([[1.0, 0.0]]), mask, ratio=0.5)
    assert share.tolist() == [0.5]
    assert kept_shares(
        encoded, torch.tensor([[1.0, 0.0]]), np.zeros_like(mask), 0.5
    ).tolist() == [0.0]


def test_kept_shares_do_not_depend_on_the_order_of_the_classes():
    random = np.random.default_rng(0)
    vectors = torch.tensor(random.normal(size=(20, 8, 6, 6)), dtype=torch.float32)
    encoded = Encoded(torch.zeros(20, 8), vectors)
    classes = torch.tensor(random.normal(size=(5, 8)), dtype=torch.float32)
    masks = random.random((20, 12, 12)) < 0.3
    shares = kept_shares(encoded, classes, masks, 0.5)
    assert 0.3 < shares.mean() < 0.7
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        assert np.array_equal(kept_shares(encoded, classes[order], masks, 0.5), shares)
    assert not np.array_equal(kept_shares(encoded, classes[:4], masks, 0.5), shares)
