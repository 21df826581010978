from types import SimpleNamespace

from torch import nn

from mcdrl_mmseg.engine.runner import find_parts, unwrap_model


def test_a_model_without_wrapper_is_returned_unchanged():
    model = nn.Sequential(nn.Linear(1, 1))
    assert unwrap_model(SimpleNamespace(model=model)) is model


def test_all_wrappers_of_a_model_are_removed():
    model = nn.Sequential(nn.Linear(1, 1))
    runner = SimpleNamespace(model=nn.DataParallel(nn.DataParallel(model)))
    assert unwrap_model(runner) is model


def test_parts_are_found_in_order_at_any_depth():
    first, second = nn.Linear(1, 1), nn.Linear(2, 2)
    model = nn.DataParallel(nn.Sequential(first, nn.Sequential(nn.ReLU(), second)))
    runner = SimpleNamespace(model=model)
    assert find_parts(runner, nn.Linear) == [first, second]
    assert find_parts(runner, nn.Conv2d) == []
