import pytest
import torch

from mcdrl_lab.benchmarks import latency
from mcdrl_lab.benchmarks.latency import (
    build_variant,
    intervention_parameters,
    measure_latency,
)
from mcdrl_lab.plans.plan import Method

DEPTH = 'model.decode_head.intervention.num_layers'


@pytest.fixture
def methods(tiny_config):
    config = str(tiny_config)
    without = {
        'model.decode_head.intervention': None,
        'model.decode_head.loss_causal': None,
    }
    return [
        Method('depth1', config, {DEPTH: 1}),
        Method('depth2', config, {DEPTH: 2}),
        Method('without', config, without),
    ]


def test_variants_are_timed_in_turns_and_the_first_passes_not_counted(
    methods, monkeypatch
):
    order = []

    def milliseconds(model, image):
        order.append(intervention_parameters(model))
        # The warm-up's passes are slow; then every method has a time of its own.
        return 1000.0 if len(order) <= 9 else float(len(order) % 3)

    monkeypatch.setattr(latency, '_milliseconds', milliseconds)
    threads = torch.get_num_threads()
    records = measure_latency(methods, size=64, rounds=4)
    assert torch.get_num_threads() == threads
    assert [r['milliseconds'] for r in records] == [1, 2, 0]
    assert order[:3] * 7 == order
    assert [r['method'] for r in records] == ['depth1', 'depth2', 'without']
    assert {r['size'] for r in records} == {64}


def test_parameters_of_the_intervention_alone_and_of_the_whole_model(methods):
    records = measure_latency(methods, size=64, rounds=1)
    assert all(r['milliseconds'] > 0 for r in records)
    own = [r['intervention_parameters'] for r in records]
    whole = [r['parameters'] for r in records]
    assert own[1] > own[0] > own[2] == 0
    assert whole[1] - whole[0] == own[1] - own[0]
    layers = build_variant(methods[1]).decode_head.intervention.layers
    assert own[1] - own[0] == sum(p.numel() for p in layers[1].parameters())
