import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mcdrl_mmseg.engine.confounder_prior import estimate_prior
from mcdrl_mmseg.models import ConfounderDictionary


class Backbone(nn.Module):
    """The image's first pixels are its embedding."""

    def forward(self, inputs):
        assert not self.training and not torch.is_grad_enabled()
        return inputs, inputs[:, :, 0, :1, None]


class Preprocessor(nn.Module):
    def forward(self, data, training):
        assert not training
        return {'inputs': torch.stack(data['inputs'])}


class Images:
    """Embeddings as images of different sizes; draws as a pipeline does."""

    def __init__(self, embeddings):
        self.embeddings = embeddings
        self.asked = []

    def __len__(self):
        return len(self.embeddings)

    def __getitem__(self, index):
        self.asked.append(index)
        random.random(), np.random.rand(), torch.rand(1)
        embedding = torch.as_tensor(self.embeddings[index]).view(-1, 1, 1)
        return {'inputs': embedding.expand(-1, 2 + index % 3, 2), 'data_samples': None}


@pytest.fixture
def dictionary(prompts) -> ConfounderDictionary:
    """Three confounders whose texts are the axes of a space of width 4."""
    built = ConfounderDictionary(prompts, 4, prior='estimated')
    built.fill(torch.eye(4).repeat(3, 1), 'ab' * 32)
    built.confounder_embeddings.copy_(torch.eye(4)[:3])
    return built


def runner_of(embeddings):
    model = nn.Module()
    model.backbone, model.data_preprocessor = Backbone(), Preprocessor()
    images = Images(embeddings)
    loader = SimpleNamespace(dataset=images)
    return SimpleNamespace(model=model.train(), train_dataloader=loader), images


def test_the_prior_is_the_share_of_images_in_which_clip_sees_each_condition(dictionary):
    """Two images of the first condition, one of the third, at a sharp softmax."""
    runner, _ = runner_of([[5.0, 0, 0, 0], [0, 0, 2.0, 0], [0.1, 0, 0, 0]])
    prior = estimate_prior(runner, dictionary, num_images=3, temperature=0.01)
    assert_close(prior, torch.tensor([2 / 3, 0.0, 1 / 3]))


def test_the_prior_equals_a_float64_reference(dictionary):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(5, 4, generator=generator)
    runner, _ = runner_of(embeddings)
    prior = estimate_prior(runner, dictionary, num_images=5, temperature=0.3)
    values = embeddings.double().numpy()
    cosines = values[:, :3] / np.linalg.norm(values, axis=1, keepdims=True)
    weights = np.exp(cosines / 0.3)
    expected = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(prior.numpy(), expected, rtol=1e-5)
    assert float(prior.sum()) == pytest.approx(1)


@pytest.mark.parametrize(
    ('wanted', 'asked'), [(3, [0, 4, 9]), (10, list(range(10))), (99, list(range(10)))]
)
def test_the_images_are_evenly_spaced_over_the_dataset(dictionary, wanted, asked):
    runner, images = runner_of([[1.0, 0, 0, 0]] * 10)
    estimate_prior(runner, dictionary, num_images=wanted, temperature=0.01)
    assert images.asked == asked


def random_states() -> tuple:
    kind, keys, *rest = np.random.get_state()
    torch_state = torch.get_rng_state().tolist()
    return random.getstate(), (kind, keys.tolist(), *rest), torch_state


@pytest.fixture
def seeded():
    """Random states that no other test has."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(71)
    np.random.seed(72)
    torch.manual_seed(73)
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def test_random_states_and_the_mode_of_the_model_are_restored(dictionary, seeded):
    runner, _ = runner_of([[1.0, 0, 0, 0]] * 3)
    before = random_states()
    estimate_prior(runner, dictionary, num_images=3, temperature=0.01)
    assert random_states() == before
    assert runner.model.training


def test_random_states_and_mode_are_also_restored_after_a_failure(dictionary, seeded):
    runner, images = runner_of([[1.0, 0, 0, 0]] * 3)
    images.embeddings[2] = None
    before = random_states()
    with pytest.raises(Exception, match='None'):
        estimate_prior(runner, dictionary, num_images=3, temperature=0.01)
    assert random_states() == before
    assert runner.model.training
