import argparse
import os

import pytest

from mcdrl_mmseg.apis.arguments import add_run_arguments, parse_run_arguments


@pytest.fixture
def parse(monkeypatch):
    """Parses a command line and gives back the arguments."""
    monkeypatch.delenv('LOCAL_RANK', raising=False)

    def run(*words):
        parser = argparse.ArgumentParser()
        add_run_arguments(parser)
        monkeypatch.setattr('sys.argv', ['tool', *words])
        return parse_run_arguments(parser)

    return run


def test_defaults_are_those_of_mmseg(parse):
    args = parse()
    assert vars(args) == dict(
        work_dir=None, cfg_options=None, launcher='none', local_rank=0
    )


def test_options_become_python_values(parse):
    args = parse(
        '--cfg-options', 'a.lr=0.1', 'b.names=[x,y]', 'c=None', 'd="[(1,2),(3,4)]"'
    )
    assert args.cfg_options == {
        'a.lr': 0.1,
        'b.names': ['x', 'y'],
        'c': None,
        'd': [(1, 2), (3, 4)],
    }


@pytest.mark.parametrize('spelling', ['--local_rank', '--local-rank'])
def test_local_rank_reaches_the_environment_in_both_spellings(
    parse, monkeypatch, spelling
):
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    parse(spelling, '3')
    assert os.environ['LOCAL_RANK'] == '3'


def test_local_rank_of_the_launcher_stays(parse, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '1')
    parse()
    assert os.environ['LOCAL_RANK'] == '1'


def test_unknown_launcher_ends_with_status_2(parse, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse('--launcher', 'ssh')
    assert stopped.value.code == 2
    assert "'ssh'" in capsys.readouterr().err
