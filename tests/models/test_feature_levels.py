"""A level is a map, or a sequence that begins with one."""

import pytest
import torch

from mcdrl_mmseg.models.feature_levels import map_of, with_map

OLD = torch.zeros(2, 3, 4, 5)
NEW = torch.arange(120.0).view(2, 3, 4, 5)


def test_a_plain_map_is_replaced():
    assert map_of(OLD) is OLD
    assert with_map(OLD, NEW) is NEW


@pytest.mark.parametrize('kind', [list, tuple])
def test_the_items_after_the_map_in_a_sequence_are_kept(kind):
    class_token = torch.ones(2, 3)
    level = with_map(kind([OLD, class_token]), NEW)
    assert type(level) is kind
    assert map_of(level) is NEW
    assert level[1] is class_token


def test_a_new_map_takes_the_memory_layout_of_the_old_one_but_keeps_its_dtype():
    level = OLD.to(memory_format=torch.channels_last)
    result = with_map(level, NEW)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(result, NEW)
    assert with_map(level, NEW.half()).dtype == torch.float16
