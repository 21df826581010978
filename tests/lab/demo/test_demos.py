from pathlib import Path

import pytest

from mcdrl_lab.demo import demos
from mcdrl_lab.demo.demo_steps import DemoError


@pytest.fixture
def commands(monkeypatch):
    """The commands that would be run, with their variables; none is run."""
    seen = []
    monkeypatch.setattr(demos, 'run_command', lambda *call: seen.append(call))
    return seen


def test_demo_trains_both_methods_on_the_simulated_images(commands, tmp_path):
    demos.run_demo(str(tmp_path), images_per_site=7, seeds=2)
    drawing, training, comparing, reporting = commands
    data = str(tmp_path / 'endosim')
    assert data in drawing[0] and '7' in drawing[0]
    arguments, environment = training
    assert environment == {'MCDRL_ENDOSIM_ROOT': data}
    names = [a.split('=') for a in arguments if a.startswith(('baseline=', 'mcdrl='))]
    assert [name for name, _ in names] == ['baseline', 'mcdrl']
    assert all(Path(config).is_file() for _, config in names)
    assert arguments[arguments.index('--seeds') + 1] == '2'
    assert comparing[0][-2:] == ['mcdrl', 'baseline']
    assert '--explanations' in reporting[0]


def test_real_demo_without_images_names_the_variable_to_set(
    commands, tmp_path, monkeypatch
):
    monkeypatch.setenv('MCDRL_DATA_ROOT', str(tmp_path / 'nowhere'))
    with pytest.raises(DemoError, match='Set MCDRL_DATA_ROOT to the folder'):
        demos.run_real_demo(str(tmp_path / 'out'))
    assert commands == []


def test_real_demo_trains_both_methods_with_one_real_site_held_out(
    commands, tmp_path, monkeypatch
):
    (tmp_path / 'sites' / 'polypgen_c1').mkdir(parents=True)
    monkeypatch.setenv('MCDRL_DATA_ROOT', str(tmp_path / 'sites'))
    demos.run_real_demo(str(tmp_path / 'out'))
    training, references, comparing, reporting = commands
    arguments, environment = training
    assert environment == {'MCDRL_DATA_ROOT': str(tmp_path / 'sites')}
    names = [a.split('=') for a in arguments if a.startswith(('baseline=', 'mcdrl='))]
    assert [name for name, _ in names] == ['baseline', 'mcdrl']
    assert all(Path(config).is_file() for _, config in names)
    assert arguments[arguments.index('--sites') + 1] == 'polypgen_c1'
    assert references[0] == ['references', str(tmp_path / 'sites')]
    assert comparing[0][-2:] == ['mcdrl', 'baseline']
    assert '--explanations' in reporting[0]
