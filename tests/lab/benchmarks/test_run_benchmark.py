"""Arguments of the command benchmark and their effect."""

import json
import os
from types import SimpleNamespace

import pytest
import torch

from mcdrl_common.written_files import OutputError
from mcdrl_lab.benchmarks import run_benchmark as command
from mcdrl_lab.benchmarks.run_benchmark import run_benchmark
from mcdrl_lab.benchmarks.steps import Setting
from mcdrl_lab.commands import make_parser
from mcdrl_lab.errors import ProtocolError

_PNG = b'\x89PNG'
_MODEL = 'mcdrl_clip-tiny-vit_fcn'


@pytest.fixture
def parsed():
    """Arguments as the command reads them: ``parsed(CONFIG, '--size', 64)``."""

    def parse(*arguments):
        return make_parser('benchmark').parse_args(map(str, arguments))

    return parse


@pytest.fixture
def compared(monkeypatch) -> list:
    """The comparisons that would be made, one entry per config."""
    calls = []

    def compare(subjects, mode, setting, rounds, count, cpu_time):
        given = dict(mode=mode, setting=setting, rounds=rounds)
        given.update(count=count, cpu_time=cpu_time)
        calls.append(SimpleNamespace(names=[s.name for s in subjects], **given))
        times = dict(median=2.0, low=1.0, high=3.0)
        shared = dict(mode=mode, batch_size=1, size=64, parameters=1, ratio=None)
        shared.update(milliseconds=times, images_per_second=500.0)
        return [dict(name=subject.name, **shared) for subject in subjects]

    monkeypatch.setattr(command, 'compare', compare)
    return calls


def test_a_comparison_is_printed_and_written_with_its_plot(
    parsed, vit_config, tmp_path, capsys
):
    """The whole command, with nothing replaced by a stub."""
    out = tmp_path / 'new' / 'folder'
    options = ('--against', 'FCNHead', '--size', 64, '--rounds', 1, '--out', out)
    run_benchmark(parsed(vit_config, *options))
    printed = capsys.readouterr().out
    assert f'{_MODEL}: inference, batch 1, 64 px, wall clock' in printed
    assert '| same tower + FCNHead ' in printed
    assert '| share of the step' in printed
    content = json.loads((out / 'benchmark.json').read_text())
    assert content.keys() == {'environment', 'mode', 'results'}
    assert content['mode'] == 'inference'
    assert content['environment']['device'] == 'cpu'
    assert content['environment']['versions']['torch'] in printed
    ((own, stock),) = content['results']
    assert (own['name'], stock['name']) == (_MODEL, 'same tower + FCNHead')
    assert own['ratio'] is None and stock['ratio'].keys() == {'median', 'low', 'high'}
    assert own['flops'] > stock['flops']
    assert (out / f'{_MODEL}.png').read_bytes().startswith(_PNG)
    assert {path.name for path in out.glob('[!.]*')} == {
        'benchmark.json',
        f'{_MODEL}.png',
    }


def test_every_option_for_the_measurement_is_applied(
    parsed, vit_config, compared, capsys
):
    run_benchmark(
        parsed(
            vit_config,
            *('--mode', 'train', '--amp', '--compile', '--channels-last'),
            *('--batch-size', 3, '--size', 96, '--rounds', 7),
            *('--cpu-time', '--time-only'),
        )
    )
    (call,) = compared
    assert call.setting == Setting('cpu', 3, 96, True, True, True)
    assert (call.mode, call.rounds, call.count, call.cpu_time) == (
        'train',
        7,
        False,
        True,
    )
    assert 'train, batch 3, 96 px, time on the cores' in capsys.readouterr().out


def test_without_options_the_defaults_are_used(parsed, vit_config, compared):
    run_benchmark(parsed(vit_config))
    (call,) = compared
    assert call.setting == Setting('cpu', 1, 224, False, False, False)
    assert (call.mode, call.rounds) == ('inference', 20)
    assert (call.count, call.cpu_time) == (True, False)
    assert call.names == [_MODEL]


def test_the_number_of_threads_is_set_only_on_request(
    parsed, vit_config, compared, monkeypatch
):
    threads = []
    monkeypatch.setattr(torch, 'set_num_threads', threads.append)
    run_benchmark(parsed(vit_config))
    assert threads == []
    run_benchmark(parsed(vit_config, '--threads', 2))
    assert threads == [2]


def test_variants_are_compared_with_the_last_one_given(parsed, vit_config, compared):
    run_benchmark(parsed(vit_config, '--ratios', 0.1, 0.5, 1))
    run_benchmark(parsed(vit_config, '--confounders', 3, 96))
    assert compared[0].names == ['alpha = 1', 'alpha = 0.5', 'alpha = 0.1']
    assert compared[1].names == ['M = 96', 'M = 3']


def test_every_config_is_compared_with_everything_named_by_against(
    parsed, vit_config, resnet_config, compared, tmp_path
):
    against = ('tower', 'SegformerHead')
    arguments = (vit_config, resnet_config, '--against', *against, '--out', tmp_path)
    run_benchmark(parsed(*arguments))
    others = ['bare tower', 'same tower + SegformerHead']
    models = [_MODEL, 'mcdrl_clip-tiny-rn_segformer']
    assert [call.names for call in compared] == [[model, *others] for model in models]
    content = json.loads((tmp_path / 'benchmark.json').read_text())
    names = [[record['name'] for record in group] for group in content['results']]
    assert names == [call.names for call in compared]
    assert all((tmp_path / f'{model}.png').is_file() for model in models)


def test_plots_of_configs_with_the_same_name_do_not_replace_each_other(
    parsed, vit_config, compared, tmp_path
):
    run_benchmark(parsed(vit_config, vit_config, '--out', tmp_path))
    plots = {path.name for path in tmp_path.glob('*.png')}
    assert plots == {f'{_MODEL}-1.png', f'{_MODEL}-2.png'}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--rounds', '0'], '--rounds and --batch-size must be at least 1'),
        (['--batch-size', '0'], '--rounds and --batch-size must be at least 1'),
        (['--mode', 'train', '--against', 'tower'], '--against tower: .* to train on'),
        (['--against', 'SegformerHed'], 'SegformerHed: the config could not'),
        (
            ['--against', 'FCNHead', '--ratios', '1'],
            '--against cannot be used with --ratios or',
        ),
        (
            ['--against', 'FCNHead', '--confounders', '3'],
            '--against cannot be used with --ratios or',
        ),
        (['--ratios', '0.5', '1.5'], '--ratios: expected shares of positions above 0'),
        (['--ratios', 'nan'], '--ratios: expected shares of positions above 0'),
        (
            ['--confounders', '0', '3'],
            '--confounders: expected numbers of entries of at least 1',
        ),
        (['gone.py'], r'gone\.py: the config could not'),
    ],
)
def test_unusable_options_are_refused_before_anything_is_measured(
    parsed, vit_config, compared, tmp_path, options, message
):
    with pytest.raises(ProtocolError, match=message):
        run_benchmark(parsed(vit_config, *options, '--out', tmp_path))
    assert compared == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (
            'mcdrl/mcdrl_clip-vit-l14_fcn_50e-zero_endoscopy-sites-224x224.py',
            'vit-l14_fcn has a ZeroOptimizer.*a single process',
        ),
        ('_base_/models/mcdrl_clip-vit-b16_fcn.py', 'vit-b16_fcn has no optim_wrapp'),
    ],
)
def test_configs_that_one_process_cannot_train_are_refused_for_training(
    parsed, repo_root, vit_config, compared, config, message
):
    named = repo_root / 'configs' / config
    with pytest.raises(ProtocolError, match=message):
        run_benchmark(parsed(named, '--mode', 'train'))
    with pytest.raises(ProtocolError, match=message):
        run_benchmark(parsed(vit_config, '--mode', 'train', '--against', named))
    assert not compared
    run_benchmark(parsed(named))


def test_a_missing_gpu_is_named(parsed, vit_config, compared, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ProtocolError, match='--device cuda:3: PyTorch sees no such'):
        run_benchmark(parsed(vit_config, '--device', 'cuda:3'))
    assert compared == []


def test_unknown_modes_are_refused(parsed, vit_config, capsys):
    with pytest.raises(SystemExit):
        parsed(vit_config, '--mode', 'guess')
    assert "invalid choice: 'guess'" in capsys.readouterr().err


def test_start_times_are_printed_and_written(
    parsed, vit_config, tmp_path, monkeypatch, capsys
):
    record = dict(name=_MODEL, cold=4029.4, warm=dict(median=2.71, low=2.6, high=3.21))
    monkeypatch.setattr(command, 'measure_start', lambda _: record)
    run_benchmark(parsed(vit_config, '--mode', 'start', '--out', tmp_path))
    assert (
        f'{_MODEL}: the dictionary took 4029 ms with an empty cache and 2.7 ms '
        '(2.6 to 3.2) with a warm one'
    ) in capsys.readouterr().out
    content = json.loads((tmp_path / 'benchmark.json').read_text())
    assert (content['mode'], content['results']) == ('start', [[record]])


@pytest.mark.parametrize('cached', [False, True])
def test_data_loading_is_measured_again_with_a_cache_if_a_folder_is_given(
    parsed, vit_config, tmp_path, monkeypatch, capsys, cached
):
    folders = []

    def measure(subject, cache_dir=None):
        folders.append(cache_dir)
        return dict(name=subject.name, images_per_second=12.34, workers=2)

    monkeypatch.setattr(command, 'measure_loading', measure)
    options = ('--cache-dir', tmp_path / 'images') if cached else ()
    out = tmp_path / 'out'
    run_benchmark(parsed(vit_config, '--mode', 'data', '--out', out, *options))
    assert folders == [None, *([str(tmp_path / 'images')] if cached else [])]
    line = f'{_MODEL}: 12.3 images/s with 2 workers\n'
    assert capsys.readouterr().out.count(line) == len(folders)
    (records,) = json.loads((out / 'benchmark.json').read_text())['results']
    assert [record['workers'] for record in records] == [2] * len(folders)


def test_a_benchmark_replaces_its_own_result_and_another_only_on_request(
    parsed, vit_config, resnet_config, compared, tmp_path
):
    file = tmp_path / 'benchmark.json'
    run_benchmark(parsed(vit_config, '--rounds', 1, '--out', tmp_path))
    before = file.read_bytes()
    for options in (['--size', 64], ['--time-only'], ['--mode', 'train']):
        with pytest.raises(OutputError, match=r'json was made with .*--overwrite'):
            run_benchmark(parsed(vit_config, *options, '--out', tmp_path))
    with pytest.raises(OutputError, match=f'was made with config {vit_config}'):
        run_benchmark(parsed(resnet_config, '--out', tmp_path))
    assert file.read_bytes() == before and len(compared) == 1
    run_benchmark(parsed(vit_config, '--out', tmp_path))
    run_benchmark(parsed(vit_config, resnet_config, '--out', tmp_path))
    run_benchmark(parsed(vit_config, '--size', 64, '--out', tmp_path, '--overwrite'))


def test_a_benchmark_replaces_its_result_whatever_path_names_the_config(
    parsed, vit_config, compared, tmp_path, monkeypatch
):
    folder, name = os.path.split(vit_config)
    run_benchmark(parsed(vit_config, '--out', tmp_path))
    monkeypatch.chdir(folder)
    run_benchmark(parsed(name, '--out', tmp_path))
    assert len(compared) == 2


@pytest.mark.parametrize('name', ['benchmark.json', f'{_MODEL}.png'])
def test_foreign_files_are_never_replaced(parsed, vit_config, compared, tmp_path, name):
    (tmp_path / name).write_text('mine')
    with pytest.raises(OutputError, match=f'{name}, not written here'):
        run_benchmark(parsed(vit_config, '--out', tmp_path, '--overwrite'))
    (tmp_path / 'plain').write_text('mine')
    with pytest.raises(ProtocolError, match=r'is a file\. Choose a folder'):
        run_benchmark(parsed(vit_config, '--out', tmp_path / 'plain'))
    texts = [(tmp_path / each).read_text() for each in (name, 'plain')]
    assert texts == ['mine', 'mine'] and not compared
