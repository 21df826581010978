"""The values that a section of a config gives to its class."""

import pytest
from mmseg.registry import MODELS

from mcdrl_mmseg.engine.config_check.config_components import Component


class Tower:
    def __init__(self, depth, levels=(0, 1), stride=32):
        raise AssertionError('a config is read without building')


class ThinTower(Tower):
    def __init__(self, *args, stride=16, **kwargs):
        super().__init__(*args, stride=stride, **kwargs)


@pytest.mark.parametrize(
    ('entries', 'key', 'expected'),
    [
        ({'stride': 8}, 'stride', 8),
        ({'levels': None}, 'levels', None),
        ({}, 'stride', 16),
        ({}, 'levels', (0, 1)),
        ({}, 'depth', 'neither says'),
        ({}, 'width', 'neither says'),
    ],
    ids=['given', 'given as None', 'default', 'inherited', 'needed', 'unknown'],
)
def test_a_value_is_the_entry_or_the_nearest_default(entries, key, expected):
    part = Component.of('model.backbone', {'type': ThinTower, **entries}, MODELS)
    assert part.value(key, 'neither says') == expected


@pytest.mark.parametrize('name', [None, 'NoSuchTower', 'torch.nn.Conv2d'])
def test_for_an_unknown_class_only_the_entries_of_the_config_count(name):
    part = Component.of('model.backbone', {'type': name, 'stride': 8}, MODELS)
    assert (part.cls, part.value('stride'), part.value('levels')) == (None, 8, None)
