"""Confounder scores against float64 NumPy."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mcdrl_mmseg.models.confounder_scores import ConfounderScores


@pytest.fixture
def entries() -> torch.Tensor:
    return torch.randn(3, 6, generator=torch.Generator().manual_seed(1))


def images(count: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def cosines(embedding, entries):
    x, z = embedding.double().numpy(), entries.double().numpy()
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return x @ (z / np.linalg.norm(z, axis=1, keepdims=True)).T


def test_the_first_batch_is_standardised_by_its_own_statistics(entries):
    values = cosines(images(8), entries)
    expected = (values - values.mean(0)) / values.std(0)
    scores = ConfounderScores(3)(images(8), entries)
    assert_close(scores, torch.tensor(expected).float(), rtol=1e-4, atol=1e-4)


def test_early_statistics_are_those_of_all_images_seen_so_far(entries):
    module = ConfounderScores(3, momentum=0.01)
    batches = [images(4, seed) for seed in range(5)]
    for batch in batches:
        scores = module(batch, entries)
    values = cosines(torch.cat(batches), entries)
    last = cosines(batches[-1], entries)
    expected = (last - values.mean(0)) / values.std(0)
    assert_close(scores, torch.tensor(expected).float(), rtol=1e-4, atol=1e-4)


def test_later_statistics_weight_each_step_by_the_momentum(entries):
    module = ConfounderScores(3, momentum=0.5)
    means = [cosines(images(4, seed), entries).mean(0) for seed in range(3)]
    for seed in range(3):
        module(images(4, seed), entries)
    expected = 0.25 * means[0] + 0.25 * means[1] + 0.5 * means[2]
    assert_close(module.mean, torch.tensor(expected).float())


def test_scores_of_single_images_are_bounded_by_the_root_of_their_count(entries):
    module = ConfounderScores(3)
    for count, seed in enumerate(range(10, 30), start=1):
        scores = module(images(1, seed), entries)
        assert scores.isfinite().all()
        assert scores.abs().max() <= count**0.5 * 1.01


def test_gradients_reach_learned_entries_but_not_the_image_tower(entries):
    embedding = images(4).requires_grad_()
    learned = entries.clone().requires_grad_()
    ConfounderScores(3)(embedding, learned).square().sum().backward()
    assert embedding.grad is None
    assert learned.grad.abs().sum() > 0


def test_scores_do_not_depend_on_the_norm_of_embeddings_and_entries(entries):
    assert_close(
        ConfounderScores(3)(images(4) * 50, entries * 3),
        ConfounderScores(3)(images(4), entries),
    )


def test_half_precision_embeddings_are_scored_in_single_precision(entries):
    scores = ConfounderScores(3)(images(4).half(), entries)
    assert scores.dtype == torch.float32


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('before', [0, 5])
def test_an_embedding_that_is_not_finite_leaves_the_statistics_as_they_were(
    entries, value, before
):
    module, spared = ConfounderScores(3), ConfounderScores(3)
    for seed in range(before):
        module(images(4, seed), entries)
        spared(images(4, seed), entries)
    bad = images(4)
    bad[1] = value
    scores = module(bad, entries)
    assert scores[1].isnan().all()
    for name, statistic in spared.named_buffers():
        assert torch.equal(module.get_buffer(name), statistic)
    assert torch.equal(module(images(4, 9), entries), spared(images(4, 9), entries))
