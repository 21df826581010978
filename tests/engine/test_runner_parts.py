from types import SimpleNamespace

from torch import nn

from mcdrl_mmseg.engine.runner import find_parts, unwrap_model


def test_model_without_wrapper_is_returned_as_it_is():
    model = nn.Sequential(nn.Linear(1, 1))
    assert unwrap_model(SimpleNamespace(model=model)) is model


def test_wrappers_are_taken_off():
    model = nn.Sequential(nn.Linear(1, 1))
    runner = SimpleNamespace(model=nn.DataParallel(nn.DataParallel(model)))
    assert unwrap_model(runner) is model


def test_parts_are_found_at_any_depth_in_order():
    first, second = nn.Linear(1, 1), nn.Linear(2, 2)
    model = nn.DataParallel(nn.Sequential(first, nn.Sequential(nn.ReLU(), second)))
    runner = SimpleNamespace(model=model)
    assert find_parts(runner, nn.Linear) == [first, second]
    assert find_parts(runner, nn.Conv2d) == []
