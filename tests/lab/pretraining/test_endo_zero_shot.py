"""Scores with numbers worked out by hand, and the whole table on made-up hospitals."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from mcdrl_lab.pretraining.endo_model import EndoCLIP
from mcdrl_lab.pretraining.endo_pack import HELD_OUT, load_pack
from mcdrl_lab.pretraining.endo_report import scores_tables
from mcdrl_lab.pretraining.endo_scores import EndoScores, SiteImages, score_endo
from mcdrl_lab.pretraining.endo_words import UNSEEN_WORDS
from mcdrl_lab.pretraining.endo_zero_shot import (
    ConditionEmbeddings,
    auc,
    centre_scores,
    conditioned,
    joined,
    kept_shares,
    lesion_scores,
    position_scores,
    shuffles,
    text_scores,
)
from mcdrl_lab.simulation.drawn_conditions import BLUR, DRAWN, NARROW_BAND, WHITE_LIGHT


def test_the_lesion_score_is_a_difference_of_cosines():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    lesion, healthy = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.6, 0.8]])
    found = lesion_scores(embeddings, lesion, healthy)
    torch.testing.assert_close(found, torch.tensor([1 - 0.3, 0 - 0.9]))
    assert auc(torch.tensor([2.0, 1.0]), torch.tensor([0.0, 1.5])) == 0.75


def test_the_score_of_the_best_position_uses_both_cosines_of_one_position():
    # Both positions of the first image have length 5; their differences are 0.6 - 0.8
    # and 0.8 - 0.6. The highest cosine with each text on its own would give 0.
    dense = torch.tensor([[[[3.0, 4.0]], [[4.0, 3.0]]], [[[0.0, 0.0]], [[1.0, 2.0]]]])
    lesion, healthy = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    found = position_scores(dense, lesion, healthy)
    torch.testing.assert_close(found, torch.tensor([0.2, -1.0]))


def test_conditions_are_compared_with_plain_images_white_light_with_narrow_band():
    text = torch.tensor([1.0])
    plain = torch.tensor([[0.1], [0.2]])
    drawn = {n: torch.tensor([[0.0], [0.0]]) for n in DRAWN}
    drawn[BLUR] = torch.tensor([[0.3], [0.15]])
    drawn[NARROW_BAND] = torch.tensor([[-0.5], [0.15]])
    part = ConditionEmbeddings(plain, drawn)
    assert part.auc_of(BLUR, text) == 0.75
    assert part.auc_of(WHITE_LIGHT, text) == 0.75
    # Among images with other conditions: 20 further values of 0, -0.5 and 0.15.
    assert part.auc_of(BLUR, text, among=True) == pytest.approx(
        (22 + 2 + 20 + 1 - 2 + 0.5 - 0.5) / 44, abs=0.05
    )
    assert joined([part, part]).plain.shape == (4, 1)


def test_a_shuffle_leaves_no_word_in_its_place():
    orders = shuffles(20, seed=0)
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert all((order != np.arange(12)).all() for order in orders)


def test_kept_shares_count_the_lesion_pixels_at_kept_positions():
    # Half of a 2 x 2 grid is kept, the upper row; the lesion fills the left column.
    scores = torch.tensor([[[4.0, 3.0], [2.0, 1.0]]])
    mask = np.zeros((8, 8), np.uint8)
    mask[:, :4] = 1
    assert kept_shares(scores, [mask], 0.5).tolist() == [0.5]
    mask[4:] = 0
    assert kept_shares(scores, [mask], 0.25).tolist() == [1.0]


def test_text_scores_are_the_highest_cosine_and_centre_scores_peak_in_the_middle():
    dense = torch.tensor([[[[3.0]], [[4.0]]]])
    texts = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    torch.testing.assert_close(text_scores(dense, texts), torch.tensor([[[0.8]]]))
    centre = centre_scores(1, (3, 3))[0]
    assert centre.argmax() == 4 and centre[0, 0] == centre.min()


def test_each_condition_is_drawn_once_on_each_image():
    images = [np.full((20, 30, 3), 120, np.uint8)] * 2
    drawn = dict(conditioned(images, seed=0))
    assert set(drawn) == set(DRAWN)
    assert all(len(v) == 2 and v[0].shape == (256, 256, 3) for v in drawn.values())
    again = dict(conditioned(images, seed=0))
    assert all(np.array_equal(drawn[n][1], again[n][1]) for n in DRAWN)


@pytest.fixture(scope='module')
def score(endo_pack_root, toy_sentences) -> Callable[..., EndoScores]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = EndoCLIP('mcdrl-endo-lite0').eval()
    generator = np.random.default_rng(0)
    masks = [np.zeros((40, 40), np.uint8) for _ in range(9)]
    for mask in masks[:3]:
        mask[10:20, 10:20] = 1
    sites = {
        name: SiteImages(list(generator.integers(0, 255, (9, 40, 40, 3), 'u1')), masks)
        for name in ('polypgen_c2', 'endotect_kvasir')
    }

    @torch.no_grad()
    def measure(without: Sequence[str] = ()) -> EndoScores:
        return score_endo(
            model.visual,
            lambda texts: model.encode_texts(toy_sentences(list(texts))),
            load_pack(endo_pack_root, HELD_OUT),
            sites,
            side=32,
            per_site=3,
            without=without,
            log=str,
        )

    return measure


@pytest.fixture(scope='module')
def scores(score) -> EndoScores:
    return score()


def test_all_scores_are_measured_for_every_hospital_condition_and_word(scores):
    assert set(scores.lesions) == {'pretraining pack', 'polypgen_c2', 'endotect_kvasir'}
    assert set(scores.positions) == set(scores.lesions)
    assert set(scores.conditions) == {'polypgen_c2', 'endotect_kvasir', 'all'}
    # 'all' leaves out the hospital that pretraining has seen.
    assert scores.conditions['all'] == scores.conditions['polypgen_c2']
    assert all(0 <= v <= 1 for row in scores.conditions.values() for v in row.values())
    assert set(scores.words) == {
        w for part in UNSEEN_WORDS.values() for words in part.values() for w in words
    }
    kept = scores.kept['polypgen_c2'][0.5]
    assert set(kept) == {'text', 'centre', 'random'}
    assert len(scores.shuffled) == 60


def test_the_tables_mark_missed_goals_and_the_seen_hospital(scores):
    text = scores_tables(scores)
    assert 'MISSED' in text
    assert 'endotect_kvasir (same hospital)' in text
    assert 'centre' in text and 'dealt out' in text
    found = scores.positions['polypgen_c2']
    assert f'polypgen_c2, best position      | {found:.3f}' in text


def test_a_hospital_left_out_of_training_counts_as_unseen(score):
    scores = score(without=['kvasir_seg'])
    assert scores.seen == ()
    assert '(same hospital)' not in scores_tables(scores)
    assert scores.conditions['all'] not in (
        scores.conditions['polypgen_c2'],
        scores.conditions['endotect_kvasir'],
    )
