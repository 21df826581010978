import numpy as np
import pytest
import torch

from mcdrl_common.model_settings import model_hash
from mcdrl_lab.benchmarks import plan_latency
from mcdrl_lab.benchmarks.models import load_subject
from mcdrl_lab.benchmarks.plan_latency import measure_latency
from mcdrl_lab.commands import main
from mcdrl_lab.plans.plan import Method
from mcdrl_lab.plans.prepared import load_method

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


def test_variants_are_timed_together_on_one_image_and_threads_are_restored(
    methods, monkeypatch
):
    seen = {}

    def time_in_turns(steps, rounds, device):
        seen.update(shapes=[step().shape for step in steps], rounds=rounds)
        seen['threads'] = torch.get_num_threads()
        # A row per round, a column per variant.
        return np.array([[1.0, 5.0, 9.0], [2.0, 6.0, 9.0], [3.0, 7.0, 9.0]])

    monkeypatch.setattr(plan_latency, 'time_in_turns', time_in_turns)
    threads = torch.get_num_threads()
    records = measure_latency(methods, size=64, rounds=3, threads=threads + 1)
    assert seen['rounds'] == 3
    assert seen['threads'] == threads + 1
    assert torch.get_num_threads() == threads
    assert {shape[0] for shape in seen['shapes']} == {1}
    assert [r['milliseconds'] for r in records] == [2, 6, 9]
    assert [r['quartiles'] for r in records] == [[1.5, 2.5], [5.5, 6.5], [9, 9]]
    assert [r['method'] for r in records] == ['depth1', 'depth2', 'without']
    assert {r['size'] for r in records} == {64}
    networks = [model_hash(load_method(method).model) for method in methods]
    assert [r['model_hash'] for r in records] == networks
    assert len(set(networks)) == 3


def test_parameters_of_the_intervention_and_of_the_whole_model_are_recorded(
    methods, tiny_config
):
    records = measure_latency(methods, size=64, rounds=1)
    assert all(r['milliseconds'] > 0 for r in records)
    own = [r['intervention_parameters'] for r in records]
    whole = [r['parameters'] for r in records]
    assert own[1] > own[0] > own[2] == 0
    assert whole[1] - whole[0] == own[1] - own[0]
    layer = load_subject(str(tiny_config)).build().decode_head.intervention.layers[0]
    assert own[1] - own[0] == sum(p.numel() for p in layer.parameters())


def test_lines_are_appended_only_to_files_of_latency_records(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(plan_latency, 'measure_latency', lambda *_: [dict(method='a')])
    config = tmp_path / 'c.py'
    config.touch()
    plan = tmp_path / 'plan.yml'
    plan.write_text('config: c.py\nvariants: [{name: a}]\n')
    words = ['latency', str(plan), '--out']
    for text in ('# Notes\nmine\n', 'mine'):
        notes = tmp_path / 'notes.jsonl'
        notes.write_text(text)
        assert main([*words, str(notes)]) == 2
        assert 'notes.jsonl' in capsys.readouterr().err
        assert notes.read_text() == text
    lines = tmp_path / 'latency.jsonl'
    assert [main([*words, str(lines)]) for _ in range(2)] == [0, 0]
    assert lines.read_text() == '{"plan": "plan.yml", "method": "a"}\n' * 2


def test_mcdrl_added_to_a_stock_config_is_measured(repo_root):
    config = str(repo_root / 'configs/mixing/own_segformer_mcdrl.py')
    (record,) = measure_latency([Method('over', config, {})], size=64, rounds=1)
    assert record['intervention_parameters'] > 0
    assert isinstance(load_subject(config).cfg.model.decode_head.intervention, dict)
