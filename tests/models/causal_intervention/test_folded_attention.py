import pytest
import torch
from torch.testing import assert_close

from mcdrl_mmseg.models.causal_intervention.folded_attention import (
    fold_layer,
    folded_forward,
)
from mcdrl_mmseg.models.causal_intervention.intervention_layer import (
    InterventionLayer,
)


@pytest.mark.parametrize('num_entries', [1, 4])
def test_folded_layer_equals_the_layer(num_entries):
    torch.manual_seed(0)
    layer = InterventionLayer(6, 5, attention_dims=8, num_heads=2, ffn_ratio=1.5)
    layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter))
    tokens = torch.randn(3, 7, 6, dtype=torch.float64)
    entries = torch.randn(num_entries, 5, dtype=torch.float64)
    log_prior = torch.randn(num_entries, dtype=torch.float64).log_softmax(dim=0)

    folded = fold_layer(layer, entries, log_prior)

    assert folded.logits[0].shape == (2 * num_entries,)
    assert folded.logits[1].shape == (6, 2 * num_entries)
    assert folded.values.shape == (2 * num_entries, 6)
    expected = layer(tokens, entries.unsqueeze(0), log_prior).flatten(0, 1)
    assert_close(folded_forward(layer, tokens.flatten(0, 1), folded), expected)
