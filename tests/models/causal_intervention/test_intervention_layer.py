"""Attention to shared entries, against the formula and torch's own attention."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from mcdrl_mmseg.models.causal_intervention import intervention_layer
from mcdrl_mmseg.models.causal_intervention.intervention_layer import attend

IMAGES, TOKENS, ENTRIES, HEADS, WIDTH = 3, 5, 4, 2, 6


def parts(images: int = 1, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    """Query, key and value, the last two of ``images`` images."""
    generator = torch.Generator().manual_seed(0)
    lengths = ((IMAGES, TOKENS), (images, ENTRIES), (images, ENTRIES))
    return [
        torch.randn(*length, HEADS, WIDTH, generator=generator, dtype=torch.float64)
        .to(dtype)
        .requires_grad_()
        for length in lengths
    ]


@pytest.fixture
def log_prior() -> torch.Tensor:
    return torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64).log()


def by_hand(query, key, value, log_prior) -> torch.Tensor:
    """The formula, image by image and head by head, in float64."""
    query, key, value = (part.double() for part in (query, key, value))
    result = torch.zeros_like(query)
    for image in range(IMAGES):
        of = image % len(key)
        for head in range(HEADS):
            logits = query[image, :, head] @ key[of, :, head].T / WIDTH**0.5 + log_prior
            result[image, :, head] = logits.softmax(-1) @ value[of, :, head]
    return result


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize('images', [1, IMAGES], ids=['shared', 'of each image'])
def test_attention_and_its_gradients_equal_the_formula(images, dtype, log_prior):
    given, weights = parts(images, dtype), torch.randn(IMAGES, TOKENS, HEADS, WIDTH)
    attended = attend(*given, log_prior.to(dtype))
    gradients = torch.autograd.grad((attended * weights).sum(), given)
    reference = parts(images)
    expected = by_hand(*reference, log_prior)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), reference)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    close = dict(rtol=tolerance, atol=tolerance)
    assert_close(attended.double(), expected, **close)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        assert_close(found.double(), wanted, **close)


@pytest.fixture
def torch_calls(monkeypatch) -> list:
    """One entry each time torch's own attention is called."""
    stock, calls = F.scaled_dot_product_attention, []

    def noted(*args):
        calls.append(1)
        return stock(*args)

    monkeypatch.setattr(intervention_layer.F, 'scaled_dot_product_attention', noted)
    return calls


def test_attention_to_shared_entries_does_not_call_torchs_attention(
    torch_calls, log_prior
):
    attend(*parts(), log_prior)
    assert not torch_calls


def test_a_traced_graph_uses_torchs_attention_and_takes_any_number_of_images(
    torch_calls, log_prior
):
    query, *rest = (part.detach() for part in parts())
    traced = torch.jit.trace(lambda q: attend(q, *rest, log_prior), query[:1])
    assert torch_calls
    assert_close(traced(query), attend(query, *rest, log_prior))


def test_single_images_own_entries_and_half_precision_use_torchs_attention(
    torch_calls, log_prior
):
    query, key, value = parts()
    attend(query[:1], key, value, log_prior)
    attend(*parts(IMAGES), log_prior)
    attend(*parts(dtype=torch.bfloat16), log_prior)
    attend(*parts(IMAGES), None)
    assert len(torch_calls) == 4
