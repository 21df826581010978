import pytest
import torch

from mcdrl_mmseg.models import CausalInterventionHead, ConfounderDictionary
from mcdrl_mmseg.models.confounder_attention import (
    attends_to_dictionary,
    entry_names,
    image_attention,
)


@pytest.fixture
def make_head(prompts, fill):
    def make(intervention=(), **dictionary) -> CausalInterventionHead:
        if intervention is not None:
            intervention = dict(
                type='CausalIntervention', num_heads=2, **dict(intervention)
            )
        head = CausalInterventionHead(
            predictor=dict(
                type='FCNHead',
                in_channels=8,
                channels=8,
                in_index=0,
                num_convs=0,
                concat_input=False,
                num_classes=2,
            ),
            dictionary=dict(
                type='ConfounderDictionary',
                prompts=prompts,
                embed_dims=8,
                **dictionary,
            ),
            in_channels=8,
            intervention=intervention,
        )
        fill(head.dictionary)
        return head

    return make


@pytest.mark.parametrize(
    ('intervention', 'expected'),
    [
        (dict(approximation='attention'), True),
        (dict(approximation='expectation'), False),
        (dict(approximation='sampling'), False),
        (dict(attend_to='self'), False),
        (None, False),
    ],
)
def test_only_the_attention_form_attends_to_the_dictionary(
    make_head, intervention, expected
):
    assert attends_to_dictionary(make_head(intervention)) is expected


def test_attention_is_the_mean_over_positions_and_sums_to_one(make_head):
    head = make_head()
    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    weights = image_attention(head, tokens)
    each = torch.cat([image_attention(head, tokens[:, n : n + 1]) for n in range(5)])
    assert weights.shape == (2, 3)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(weights, each.view(5, 2, 3).mean(dim=0))


def test_attention_equals_the_prior_if_the_query_projection_is_zero(make_head):
    prior = [0.5, 0.3, 0.2]
    head = make_head(prior=prior)
    with torch.no_grad():
        for layer in head.intervention.layers:
            layer.query.weight.zero_()
            layer.query.bias.zero_()
    weights = image_attention(head, torch.randn(1, 4, 8))
    torch.testing.assert_close(weights[0], torch.tensor(prior))


@pytest.mark.parametrize(
    ('source', 'names'),
    [
        ('text', ('glare', 'dark', 'blur')),
        ('random', ('random 1', 'random 2', 'random 3')),
        ('learned', ('learned 1', 'learned 2', 'learned 3')),
        ('shuffled', ('shuffled 1', 'shuffled 2', 'shuffled 3')),
    ],
)
def test_text_entries_are_named_by_their_condition_and_controls_by_numbers(
    prompts, source, names
):
    dictionary = ConfounderDictionary(prompts, embed_dims=8, source=source)
    assert entry_names(dictionary) == names
