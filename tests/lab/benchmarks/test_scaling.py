import json

import pytest

from mcdrl_lab.benchmarks import scaling
from mcdrl_lab.commands import main


def test_times_are_medians_over_starts_and_ranks_and_memory_the_largest(
    tmp_path, monkeypatch
):
    def start(config, count, batch_size, size, steps):
        started.append(count)
        return [
            dict(
                milliseconds=[100.0 * count + rank] * steps,
                peak_megabytes=50.0 + rank,
                reduced_bytes=7 if count > 1 else 0,
                trained_bytes=7,
            )
            for rank in range(count)
        ]

    started = []
    config = tmp_path / 'c.py'
    config.touch()
    monkeypatch.setattr(scaling, '_start', start)
    one, two = scaling.measure_scaling(str(config), (1, 2), batch_size=4, steps=3)
    assert started == [1, 2, 1, 2]
    assert one['milliseconds'] == 100
    assert one['images_per_second'] == pytest.approx(40)
    assert two['milliseconds'] == 200.5
    assert two['images_per_second'] == pytest.approx(8 * 1000 / 200.5)
    assert two['peak_megabytes'] == 51
    assert (one['reduced_bytes'], two['reduced_bytes']) == (0, 7)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.py'):
        scaling.measure_scaling(str(tmp_path / 'gone.py'))


def test_the_error_output_of_a_failed_process_is_shown(tmp_path, monkeypatch):
    broken = tmp_path / 'python'
    broken.write_text('#!/bin/sh\necho out of memory >&2; exit 3\n')
    broken.chmod(0o755)
    monkeypatch.setattr('sys.executable', str(broken))
    (tmp_path / 'c.py').touch()
    with pytest.raises(RuntimeError, match='out of memory'):
        scaling.measure_scaling(str(tmp_path / 'c.py'), (1,), repeats=1)


def test_a_result_replaces_its_own_file_and_another_only_on_request(
    tmp_path, monkeypatch, capsys
):
    row = dict(processes=1, milliseconds=3.0)
    monkeypatch.setattr(scaling, 'measure_scaling', lambda *_: [row])
    config, out = tmp_path / 'c.py', tmp_path / 'scaling.json'
    config.touch()
    words = ['scaling', str(config), '--out', str(out), '--processes']
    out.write_text('mine')
    assert main([*words, '1']) == 2
    assert 'scaling.json, not written here' in capsys.readouterr().err
    assert out.read_text() == 'mine'
    out.unlink()
    for counts in (['1'], ['1', '2'], ['1', '2']):
        assert main([*words, *counts]) == 0
    assert json.loads(out.read_text())['rows'] == [row]
    assert main([*words, '1']) == 2
    assert 'scaling.json was made with --processes 2. Ch' in capsys.readouterr().err
    assert main([*words, '1', '--overwrite']) == 0
