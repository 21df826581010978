"""Checks a config before anything is built from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .arguments import argument_problems
from .components import Component, components
from .intervention import count_problems, ratio_problems, width_problems
from .problem import ConfigCheckError, ConfigProblem
from .schedule import schedule_problems
from .sites import site_problems
from .texts import text_problems
from .towers import tower_problems, weight_problems
from .values import value_problems

Rule = Callable[[Mapping[str, Any], Sequence[Component]], Iterator[ConfigProblem]]

# These look at keys and types alone, and take any config.
_FIRST: tuple[Rule, ...] = (argument_problems, value_problems)
_RULES: tuple[Rule, ...] = (
    ratio_problems,
    width_problems,
    count_problems,
    site_problems,
    text_problems,
    tower_problems,
)
_TRAINING: tuple[Rule, ...] = (schedule_problems, weight_problems)


def find_problems(cfg: Mapping[str, Any], training: bool = True) -> list[ConfigProblem]:
    """Everything that is wrong with a config, as far as the config alone tells.

    Args:
        cfg: Experiment config.
        training: Whether it is to be trained with: else schedules and weights to
            start from do not count.
    """
    parts = components(cfg)
    problems = [problem for rule in _FIRST for problem in rule(cfg, parts)]
    failure = None
    for rule in _RULES + (_TRAINING if training else ()):
        try:
            problems += rule(cfg, parts)
        except Exception as error:
            failure = error
    # A rule relies on entries that others look at: what they name explains it.
    if failure is not None and not problems:
        raise failure
    return list(dict.fromkeys(problems))


def check_config(cfg: Mapping[str, Any], training: bool = True) -> None:
    """Refuse a config that something is wrong with.

    Args:
        cfg: Experiment config.
        training: As for :func:`find_problems`.

    Raises:
        ConfigCheckError: Names every problem with its place and a remedy.
    """
    problems = find_problems(cfg, training)
    if problems:
        raise ConfigCheckError(problems, getattr(cfg, 'filename', None))
