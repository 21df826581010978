import argparse

import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.simulation.hospitals import SITES
from mcdrl_lab.simulation.simulate_command import add_arguments
from mcdrl_lab.simulation.simulated_sites import Benchmark


def simulate(*words):
    return main(['simulate', *map(str, words)])


def test_a_data_set_is_written_with_the_requested_parameters(tmp_path, capsys):
    out = tmp_path / 'out'
    arguments = [str(out), *['--images-per-site', '1', '--size', '32', '--seed', '8']]
    assert simulate(*arguments, '--spurious', '0.25') == 0
    assert Benchmark.read(out) == Benchmark(1, 32, 0.25, 8)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f'{site}: written: 1 images' for site in SITES]


def test_defaults_are_those_of_the_benchmark_and_of_the_documentation():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(['data/endosim'])
    values = (args.images_per_site, args.size, args.spurious, args.seed)
    values += (args.lesion_places, args.pairing)
    assert values == (200, 128, 0.8, 0, 'central', 0)
    assert Benchmark() == Benchmark(*values)


def test_a_picture_in_the_way_is_reported_before_a_site_is_drawn(tmp_path, capsys):
    own = tmp_path / 'pictures/endosim_lesions.jpg'
    own.parent.mkdir()
    own.write_bytes(b'my own')
    words = ['--images-per-site', '1', '--size', '32', '--pictures', own.parent]
    assert simulate(tmp_path / 'out', *words) == 2
    assert f'error: {own}: in the way' in capsys.readouterr().err
    assert own.read_bytes() == b'my own'
    assert [path.name for path in tmp_path.rglob('*')] == ['pictures', own.name]


def test_another_pairing_is_printed(tmp_path, capsys):
    words = [str(tmp_path), *['--images-per-site', '1', '--size', '32']]
    words += ['--lesion-places', 'anywhere', '--pairing', '1']
    assert simulate(*words) == 0
    assert Benchmark.read(tmp_path) == Benchmark(1, 32, 0.8, 0, 'anywhere', 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[5] == (
        'endosim_a: home of reflection, blood; dark with tumour and polyp; bright with '
        'nodule and cyst'
    )
    assert len(lines) == 10


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ('--spurious 2', '--spurious 2.0'),
        ('--images-per-site 0', '--images-per-site 0'),
        ('--seed -3', '--seed -3'),
        ('--pairing -3', '--pairing -3'),
    ],
)
def test_invalid_values_end_with_a_one_line_error_and_code_2(
    tmp_path, capsys, arguments, named
):
    out = tmp_path / 'out'
    assert simulate(str(out), *arguments.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'error: {named}') and error.count('\n') == 1
    assert not out.exists()


def test_other_parameters_for_an_existing_folder_are_refused_with_code_2(
    tmp_path, capsys
):
    small = [str(tmp_path), *['--images-per-site', '1', '--size', '32']]
    assert simulate(*small) == 0
    assert simulate(*small, '--seed', '1') == 2
    assert 'seed=0; asked for seed=1' in capsys.readouterr().err


def test_a_file_in_place_of_the_folder_is_named(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert simulate(str(tmp_path / 'file'), '--images-per-site', '1') == 2
    assert 'file' in capsys.readouterr().err


def test_the_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as ended:
        simulate('--help')
    assert ended.value.code == 0
    assert 'Example: python -m mcdrl_lab simulate' in capsys.readouterr().out
