"""Measure subjects side by side in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .counting import count_flops, count_parameters, peak_memory
from .latency import ratio, spread, time_in_turns
from .models import Subject
from .part_shares import shares
from .steps import Setting, inference_step, training_step

_PROFILED = 3


def compare(
    subjects: Sequence[Subject],
    mode: str,
    setting: Setting,
    rounds: int,
    count: bool = True,
    cpu_time: bool = False,
) -> list[dict[str, Any]]:
    """Measure the first subject and everything it is compared with.

    Args:
        subjects: Ratios of the first one to each other one are reported.
        mode: ``'inference'`` or ``'train'``.
        setting: How they run.
        rounds: Timed calls of each.
        count: Measure FLOPs, memory and the shares of parts too, not only time.
        cpu_time: See :func:`~mcdrl_lab.benchmarks.latency.time_in_turns`.

    Returns:
        For each subject ``name``, ``parameters``, ``milliseconds`` (median and
        quartiles), ``images_per_second``, ``ratio`` of the first subject's time to its
        own (with a 95% interval; None for the first), and if counted ``flops``,
        ``peak_memory`` in bytes and ``shares``.
    """
    models = [subject.build() for subject in subjects]
    if mode == 'train':
        steps = [training_step(*pair, setting) for pair in zip(subjects, models)]
    else:
        steps = [inference_step(model, setting) for model in models]
    warm_up = min(3, rounds)
    times = time_in_turns(steps, rounds, warm_up, setting.device, cpu_time)
    records = []
    for index, (subject, model, step) in enumerate(zip(subjects, models, steps)):
        taken = spread(times[:, index])
        record: dict[str, Any] = dict(
            name=subject.name,
            mode=mode,
            **asdict(setting),
            cpu_time=cpu_time,
            parameters=count_parameters(model),
            milliseconds=asdict(taken),
            images_per_second=1000 * setting.batch_size / taken.median,
            ratio=asdict(ratio(times[:, 0], times[:, index])) if index else None,
        )
        # The counters do not see inside a compiled graph.
        if count and not setting.compile:
            record['flops'] = count_flops(step)
            record['peak_memory'] = peak_memory(
                model, step, setting.device, getattr(step, 'optimizer', None)
            )
            if not subject.bare_tower and hasattr(model, 'backbone'):
                record['shares'] = shares(model, step, _PROFILED, setting.device)
        records.append(record)
    return records
