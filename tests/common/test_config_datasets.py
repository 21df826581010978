import pytest
from mmcv.transforms import Resize

from mcdrl_common.config_datasets import type_name


@pytest.mark.parametrize(
    'named', ['Resize', 'mmseg.Resize', 'mmcv.transforms.Resize', Resize]
)
def test_type_name_is_the_same_for_every_way_to_name_a_class(named):
    assert type_name(dict(type=named)) == 'Resize'


@pytest.mark.parametrize('entry', [{}, dict(type=None), dict(type='')])
def test_type_name_is_empty_without_a_class(entry):
    assert type_name(entry) == ''
