import pytest
from mmcv.transforms import Resize

from mcdrl_common.config_datasets import type_name


@pytest.mark.parametrize(
    'named', ['Resize', 'mmseg.Resize', 'mmcv.transforms.Resize', Resize]
)
def test_a_class_is_known_however_it_is_named(named):
    assert type_name(dict(type=named)) == 'Resize'


@pytest.mark.parametrize('entry', [{}, dict(type=None), dict(type='')])
def test_without_a_class_there_is_no_name(entry):
    assert type_name(entry) == ''
