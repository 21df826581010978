"""How all benchmarks measure time: functions take turns, and ratios are compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import quantile_test


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles, or a ratio with its interval.

    Args:
        median: The median.
        low: Lower end.
        high: Upper end.
    """

    median: float
    low: float
    high: float


def time_in_turns(
    functions: Sequence[Callable[[], Any]],
    rounds: int,
    warm_up: int = 3,
    device: str = 'cpu',
    cpu_time: bool = False,
) -> np.ndarray:
    """Time functions in turns, so that other load on the machine affects all alike.

    Every other round is in reverse order, so that no function always follows the same
    one.

    Args:
        functions: What to time.
        rounds: Timed calls of each function.
        warm_up: Calls of each before that, which are not timed.
        device: Where they run; a GPU is synchronised before and after each call.
        cpu_time: Measure this process's CPU time, summed over threads, in place of
            wall-clock time: for a machine with other load.

    Returns:
        (rounds, functions) times in milliseconds.
    """
    wait = torch.cuda.synchronize if device.startswith('cuda') else lambda: None
    now = time.process_time if cpu_time else time.perf_counter
    times = np.zeros((warm_up + rounds, len(functions)))
    for turn in range(warm_up + rounds):
        order = range(len(functions))
        for index in order if turn % 2 == 0 else reversed(order):
            wait()
            start = now()
            functions[index]()
            wait()
            times[turn, index] = 1000 * (now() - start)
    return times[warm_up:]


def spread(times: np.ndarray) -> Spread:
    """Median and quartiles.

    Args:
        times: (rounds,).
    """
    low, median, high = np.quantile(times, [0.25, 0.5, 0.75])
    return Spread(float(median), float(low), float(high))


def ratio(times: np.ndarray, reference: np.ndarray) -> Spread:
    """Median of the ratios within each round, with its 95 % confidence interval.

    The interval is that of the sign test, which assumes no distribution of the noise.
    With too few rounds for this confidence its ends are the smallest and largest ratio.

    Args:
        times: (rounds,).
        reference: (rounds,), times of the same rounds.
    """
    ratios = times / reference
    interval = quantile_test(ratios, p=0.5).confidence_interval(0.95)
    low, high = np.nan_to_num(interval, nan=np.nan)
    return Spread(
        float(np.median(ratios)),
        float(ratios.min() if np.isnan(low) else low),
        float(ratios.max() if np.isnan(high) else high),
    )
