import argparse
from pathlib import Path

from mcdrl_lab.shared_arguments import (
    CfgOptions,
    add_device,
    add_method,
    add_records,
)


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions)
    return parser.parse_args(arguments).cfg_options


def test_values_are_parsed_as_mmengine_does():
    options = parsed('--cfg-options', 'a.b=3', 'c=[1,2]', 'd=word')
    assert options == {'a.b': 3, 'c': [1, 2], 'd': 'word'}


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
