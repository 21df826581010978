import argparse

from mcdrl_lab.shared_arguments import CfgOptions


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions)
    return parser.parse_args(arguments).cfg_options


def test_values_are_parsed_as_mmengine_does():
    options = parsed('--cfg-options', 'a.b=3', 'c=[1,2]', 'd=word')
    assert options == {'a.b': 3, 'c': [1, 2], 'd': 'word'}


def test_is_none_where_it_is_not_given():
    assert parsed() is None
