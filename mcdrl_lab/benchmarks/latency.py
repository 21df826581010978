"""The one way that times are taken: functions that take turns, and their ratios."""

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
    """Time functions in turns, so that what else the machine does meets all alike.

    Every other round goes backwards, so that none always follows the same one.

    Args:
        functions: What to time.
        rounds: Calls of each that count.
        warm_up: Calls of each before, which do not count.
        device: Where they run; a GPU is waited for before and after each call.
        cpu_time: Count the time that this process has on the cores, summed over
            threads, in place of the clock on the wall: for a machine that others use.

    Returns:
        (rounds, functions), milliseconds.
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
    """Median of the ratios of pairs of one round, with its 95 % confidence interval.

    The interval is that of the sign test: no shape of the noise is assumed. With too
    few pairs for the confidence its ends are the extremes.

    Args:
        times: (rounds,).
        reference: (rounds,), of the same rounds.
    """
    ratios = times / reference
    interval = quantile_test(ratios, p=0.5).confidence_interval(0.95)
    low, high = np.nan_to_num(interval, nan=np.nan)
    return Spread(
        float(np.median(ratios)),
        float(ratios.min() if np.isnan(low) else low),
        float(ratios.max() if np.isnan(high) else high),
    )
