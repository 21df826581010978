"""Counts that are worked out by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mcdrl_lab.benchmarks.counting import count_flops, count_parameters, peak_memory

_MIB = 2**20


def test_parameters_include_frozen_weights_and_biases_but_no_buffers():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    assert count_parameters(model) == (3 * 8 * 9 + 8) + (8 + 8) + (8 * 2 + 2)


def test_a_shared_weight_is_counted_once():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    assert count_parameters(nn.Sequential(first, second)) == 9 + 3 + 3


def test_operations_of_a_linear_layer_are_twice_its_multiplications():
    layer, inputs = nn.Linear(3, 4), torch.randn(5, 3)
    assert count_flops(lambda: layer(inputs)) == 2 * 5 * 3 * 4


@pytest.mark.parametrize(('groups', 'stride', 'positions'), [(1, 1, 100), (3, 2, 25)])
def test_operations_of_a_convolution_are_twice_its_multiplications(
    groups, stride, positions
):
    layer = nn.Conv2d(3, 6, 3, stride, padding=1, groups=groups)
    inputs = torch.randn(2, 3, 10, 10)
    expected = 2 * 2 * positions * 6 * (3 // groups) * 9
    assert count_flops(lambda: layer(inputs)) == expected


@pytest.mark.parametrize(('of_input', 'products'), [(False, 2), (True, 3)])
def test_the_backward_pass_adds_one_product_per_gradient(of_input, products):
    layer = nn.Linear(3, 4)
    inputs = torch.randn(5, 3, requires_grad=of_input)
    found = count_flops(lambda: layer(inputs).sum().backward())
    assert found == products * 2 * 5 * 3 * 4


def test_fused_attention_counts_its_two_products():
    query = torch.randn(1, 2, 5, 8)
    found = count_flops(lambda: F.scaled_dot_product_attention(query, query, query))
    assert found == 2 * (2 * 2 * 5 * 5 * 8)


def test_a_fused_encoder_layer_counts_all_its_products():
    """Five tokens of width 8: projections in and out, two heads of 4, two layers."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    tokens = torch.randn(1, 5, 8)

    def step() -> None:
        with torch.no_grad():
            layer(tokens)

    projections, attention = 5 * 8 * (3 * 8 + 8), 2 * 2 * (5 * 5 * 4)
    assert count_flops(step) == 2 * (projections + attention + 2 * 5 * 8 * 16)


def test_fused_layers_are_switched_on_again_even_after_an_error():
    def fail() -> None:
        assert not torch.backends.mha.get_fastpath_enabled()
        raise RuntimeError('no memory')

    assert torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(RuntimeError, match='no memory'):
        count_flops(fail)
    assert torch.backends.mha.get_fastpath_enabled()


def test_peak_memory_is_the_model_and_the_largest_tensors_alive_at_once():
    model = nn.Linear(256, 256, bias=False)
    weights = 256 * 256 * 4

    def step() -> None:
        with torch.no_grad():
            first = torch.empty(_MIB, dtype=torch.float32)
            second = torch.empty(2 * _MIB, dtype=torch.uint8)
            del first, second
            third = torch.empty(5 * _MIB, dtype=torch.uint8)
            del third
            # A step always runs the model, too.
            model(torch.zeros(1, 256))

    assert peak_memory(model, step, 'cpu') == weights + 4 * _MIB + 2 * _MIB


def test_peak_memory_of_training_includes_gradients_and_optimiser_state():
    """AdamW: weights, gradients and two moments; 4 bytes for each, and a counter."""
    model = nn.Linear(1024, 1024, bias=False)
    optimizer = torch.optim.AdamW(model.parameters())

    def step() -> None:
        model(torch.zeros(1, 1024)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    weights = 1024 * 1024 * 4
    found = peak_memory(model, step, 'cpu', optimizer)
    assert 4 * weights <= found < 7 * weights


def test_frozen_weights_count_once_and_have_no_gradient():
    """SGD: 4 bytes for each frozen weight, 8 for each trained one."""
    model = nn.Sequential(nn.Linear(1024, 1024), nn.Linear(1024, 64))
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1, foreach=False)

    def step() -> None:
        model(torch.zeros(1, 1024)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    frozen, trained = (4 * count_parameters(part) for part in model)
    found = peak_memory(model, step, 'cpu', optimizer)
    assert frozen + 2 * trained <= found < frozen + 3 * trained
    # The patch is undone: hooks are refused again.
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        model[0].weight.register_hook(print)


def test_peak_memory_is_that_of_the_second_step():
    model, calls = nn.Linear(1, 1), []

    def step() -> None:
        calls.append(1)
        torch.empty(8 * _MIB if len(calls) == 1 else _MIB, dtype=torch.uint8)

    assert _MIB <= peak_memory(model, step, 'cpu') < 2 * _MIB
    assert len(calls) == 2
