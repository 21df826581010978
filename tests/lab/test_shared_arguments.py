import argparse
from pathlib import Path

import pytest

from mcdrl_lab.shared_arguments import (
    add_cfg_options,
    add_device,
    add_method,
    add_records,
)


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    return parser.parse_args(arguments).cfg_options


def test_values_are_parsed_as_mmengine_does():
    options = parsed('--cfg-options', 'a.b=3', 'c=[1,2]', 'd=word')
    assert options == {'a.b': 3, 'c': [1, 2], 'd': 'word'}


@pytest.mark.parametrize(
    ('option', 'told'),
    [
        ('word', 'has no value: expected KEY=VALUE'),
        ('a=two words', 'MMEngine drops the spaces in values'),
        ('a=[{b:1}]', 'holds a dict, which cannot be given here'),
    ],
)
def test_what_mmengine_reads_as_something_else_is_refused(option, told, capsys):
    with pytest.raises(SystemExit):
        parsed('--cfg-options', option)
    assert told in capsys.readouterr().err


def test_is_none_where_it_is_not_given():
    assert parsed() is None


def test_arguments_that_commands_share_are_none_where_they_are_not_given():
    parser = argparse.ArgumentParser()
    for add in (add_records, add_method, add_device):
        add(parser)
    args = parser.parse_args(['plan/records.jsonl'])
    assert vars(args) == {
        'records': Path('plan/records.jsonl'),
        'method': None,
        'device': None,
    }
