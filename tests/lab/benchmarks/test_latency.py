import time

import numpy as np
import pytest

from mcdrl_lab.benchmarks.latency import Spread, ratio, spread, time_in_turns


def test_functions_take_turns_back_and_forth_and_warm_up_calls_do_not_count():
    calls = []
    functions = [lambda n=n: calls.append(n) for n in range(3)]
    times = time_in_turns(functions, rounds=2, warm_up=2)
    assert calls == [0, 1, 2, 2, 1, 0] * 2
    assert times.shape == (2, 3)


def test_times_are_in_milliseconds_and_belong_to_their_function():
    functions = [lambda: time.sleep(0.05), lambda: None]
    times = time_in_turns(functions, rounds=2, warm_up=0)
    assert (times[:, 0] >= 50).all() and (times[:, 1] < times[:, 0]).all()


def test_cpu_time_leaves_out_waiting():
    times = time_in_turns([lambda: time.sleep(0.2)], 1, 0, cpu_time=True)
    assert times[0, 0] < 100


def test_spread_is_the_median_with_the_quartiles():
    assert spread(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == Spread(3, 2, 4)


def test_ratio_is_the_median_of_paired_ratios_and_not_a_ratio_of_medians():
    result = ratio(np.array([1.0, 4.0, 9.0]), np.array([1.0, 2.0, 3.0]))
    assert result.median == 2
    # Three pairs are too few for 95%: the extremes.
    assert (result.low, result.high) == (1, 3)


def test_interval_of_the_ratio_is_that_of_the_sign_test():
    """Of 11 pairs the 2nd and 10th: 1 - 2 * P(Bin(11, 1/2) <= 1) = 98.8%."""
    ratios = np.arange(1.0, 12.0)
    result = ratio(ratios, np.ones(11))
    assert (result.low, result.median, result.high) == pytest.approx((2, 6, 10))
