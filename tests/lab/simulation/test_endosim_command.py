import subprocess
import sys
from pathlib import Path

import pytest

from mcdrl_lab.simulation import SITES, Benchmark
from mcdrl_lab.simulation.endosim_command import make_parser, run_tool


def test_a_data_set_is_written_as_asked(tmp_path, capsys):
    out = tmp_path / 'out'
    arguments = [str(out), *['--images-per-site', '1', '--size', '32', '--seed', '8']]
    assert run_tool([*arguments, '--spurious', '0.25']) == 0
    assert Benchmark.read(out) == Benchmark(1, 32, 0.25, 8)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f'{site}: written: 1 images' for site in SITES]


def test_defaults_are_those_of_the_documentation():
    args = make_parser().parse_args(['data/endosim'])
    values = (args.images_per_site, args.size, args.spurious, args.seed)
    assert values == (200, 128, 0.8, 0)


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ('--spurious 2', '--spurious 2.0'),
        ('--images-per-site 0', '--images-per-site 0'),
        ('--seed -3', '--seed -3'),
    ],
)
def test_bad_values_give_one_line_and_exit_code_2(tmp_path, capsys, arguments, named):
    out = tmp_path / 'out'
    assert run_tool([str(out), *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'error: {named}') and error.count('\n') == 1
    assert not out.exists()


def test_another_parametrisation_is_refused_with_exit_code_2(tmp_path, capsys):
    small = [str(tmp_path), *['--images-per-site', '1', '--size', '32']]
    assert run_tool(small) == 0
    assert run_tool([*small, '--seed', '1']) == 2
    assert 'seed=0; asked for seed=1' in capsys.readouterr().err


def test_a_file_in_place_of_the_folder_is_named(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert run_tool([str(tmp_path / 'file'), '--images-per-site', '1']) == 2
    assert 'file' in capsys.readouterr().err


def test_the_tool_shows_its_help_with_an_example(repo_root: Path):
    tool = repo_root / 'tools/dataset_converters/endosim.py'
    done = subprocess.run(
        [sys.executable, str(tool), '--help'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'Example: python tools/dataset_converters/endosim.py' in done.stdout
