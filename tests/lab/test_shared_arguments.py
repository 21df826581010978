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


def test_cfg_options_are_parsed_as_by_mmengine():
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
def test_cfg_options_that_mmengine_would_misread_are_refused(option, told, capsys):
    with pytest.raises(SystemExit):
        parsed('--cfg-options', option)
    assert told in capsys.readouterr().err


def test_cfg_options_are_none_if_not_given():
    assert parsed() is None


def test_optional_shared_arguments_are_none_if_not_given():
    parser = argparse.ArgumentParser()
    for add in (add_records, add_method, add_device):
        add(parser)
    args = parser.parse_args(['plan/records.jsonl'])
    assert vars(args) == {
        'records': Path('plan/records.jsonl'),
        'method': None,
        'device': None,
    }
