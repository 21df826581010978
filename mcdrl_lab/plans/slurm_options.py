"""The options of Slurm jobs: ``--slurm KEY=VALUE``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mcdrl_lab.errors import ProtocolError

# Key of --slurm -> submitit's parameter.
_KEYS = {
    'partition': 'partition',
    'account': 'account',
    'qos': 'qos',
    'gres': 'gres',
    'constraint': 'constraint',
    'cpus': 'cpus_per_task',
    'mem': 'mem',
    'nodelist': 'nodelist',
    'exclude': 'exclude',
    'signal_delay': 'signal_delay_s',
}
_NUMBERS = ('cpus', 'signal_delay')
_TIME = re.compile(r'(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?')


def slurm_parameters(words: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` words.

    Args:
        words: Such as ``partition=gpu``; ``time`` is required.

    Returns:
        Parameters of submitit's Slurm executor; ``time`` in minutes.

    Raises:
        ProtocolError: An unknown key, an invalid value, or no ``time``.
    """
    values: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition('=')
        if not equals or not value or key not in {*_KEYS, 'time'}:
            raise ProtocolError(
                f'--slurm {word}: expected KEY=VALUE with one of the keys '
                f'{sorted({*_KEYS, "time"})}.'
            )
        values[key] = value
    if 'time' not in values:
        raise ProtocolError(
            '--slurm needs time=, the time limit of a run, such as time=240 (minutes) '
            'or time=4:00:00. A run that reaches it is queued again and resumes.'
        )
    found: dict[str, Any] = {
        _KEYS[key]: _number(key, value) if key in _NUMBERS else value
        for key, value in values.items()
        if key != 'time'
    }
    return {**found, 'time': _minutes(values['time'])}


def _number(key: str, value: str) -> int:
    if not value.isdecimal() or not int(value):
        raise ProtocolError(f'--slurm {key}={value}: expected a whole number above 0.')
    return int(value)


def _minutes(text: str) -> int:
    """Minutes of Slurm's M, M:S, H:M:S, D-H, D-H:M or D-H:M:S, rounded up."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ProtocolError(
            f'--slurm time={text}: expected minutes, or H:M:S, or D-H:M:S.'
        )
    days, *rest = match.groups()
    numbers = [int(part) for part in rest if part is not None]
    if days is not None:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, (minutes, seconds) = 0, [*numbers, 0][:2]
    total = (int(days or 0) * 24 + hours) * 3600 + minutes * 60 + seconds
    if total == 0:
        raise ProtocolError(f'--slurm time={text}: expected more than 0.')
    return -(-total // 60)
