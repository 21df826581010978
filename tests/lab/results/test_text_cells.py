import math

from mcdrl_lab.results.statistics import Interval
from mcdrl_lab.results.text_cells import (
    MISSING,
    ends,
    interval_ends,
    mean_and_error,
    number,
    p_value,
    signed,
)


def test_small_p_values_are_not_printed_as_zero():
    assert p_value(1e-9) == '< 0.0001'
    assert p_value(0.04321) == '0.0432'


def test_undefined_values_are_a_dash():
    nan = math.nan
    cells = [p_value(nan), number(nan), signed(nan), signed(None), ends(nan, nan)]
    assert {*cells, mean_and_error(nan, nan)} == {MISSING}


def test_numbers_differences_and_intervals_have_one_digit():
    assert number(67.84) == '67.8'
    assert signed(2.25) == '+2.2'
    assert ends(-0.46, 3.0) == '-0.5 to +3.0'
    assert ends(0.46, 3.0, '.1f') == '0.5 to 3.0'


def test_a_mean_is_followed_by_its_error_if_defined():
    assert mean_and_error(50.0, 2.04) == '50.0 ± 2.0'
    assert mean_and_error(50.0, math.nan) == '50.0'


def test_ends_of_an_interval_are_limited_to_the_range_of_values():
    wide = Interval(-3.0, 104.0)
    assert interval_ends(wide) == '-3.0 to +104.0'
    assert interval_ends(wide, '.1f', 0.0, 100.0) == '0.0 to 100.0'
    unknown = Interval(math.nan, math.nan)
    assert interval_ends(unknown, '.1f', 0.0, 100.0) == MISSING
    assert interval_ends(None) == MISSING
