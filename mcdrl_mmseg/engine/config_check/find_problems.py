"""Collects all problems of a config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .argument_types import value_problems
from .clip_rules import tower_problems, weight_problems
from .config_components import Component, components
from .config_problem import ConfigCheckError, ConfigProblem
from .evaluated_data import (
    background_problems,
    evaluated_class_problems,
    flip_problems,
    window_problems,
)
from .head_inputs import input_problems
from .head_losses import loss_problems
from .ignored_labels import ignored_label_problems
from .input_normalisation import normalisation_problems
from .label_transforms import label_transform_problems
from .level_counts import level_problems
from .loop_lengths import (
    batch_problems,
    endless_problems,
    sampler_problems,
    unit_problems,
    validation_problems,
)
from .model_building import building_problems
from .monitored_scores import (
    metric_name_problems,
    monitor_problems,
    patience_problems,
)
from .parameter_groups import group_problems
from .prompt_lengths import text_problems
from .site_entries import site_problems
from .unknown_arguments import argument_problems
from .warmup_schedule import schedule_problems
from .widths_and_counts import count_problems, width_problems

Rule = Callable[[Mapping[str, Any], Sequence[Component]], Iterator[ConfigProblem]]
"""A rule: called with a config and its components, yields their problems."""

# These rules check only keys and types, and accept any config.
_FIRST: tuple[Rule, ...] = (argument_problems, value_problems)
_RULES: tuple[Rule, ...] = (
    width_problems,
    count_problems,
    site_problems,
    text_problems,
    tower_problems,
    metric_name_problems,
    ignored_label_problems,
    evaluated_class_problems,
    background_problems,
    flip_problems,
    window_problems,
    sampler_problems,
)
_TRAINING: tuple[Rule, ...] = (
    schedule_problems,
    weight_problems,
    normalisation_problems,
    monitor_problems,
    patience_problems,
    loss_problems,
    input_problems,
    level_problems,
    label_transform_problems,
    group_problems,
    unit_problems,
    endless_problems,
    validation_problems,
    batch_problems,
)


def find_problems(cfg: Mapping[str, Any], training: bool = True) -> list[ConfigProblem]:
    """All problems that can be found from the config alone.

    Args:
        cfg: Experiment config.
        training: Whether the config is for a training; otherwise schedules and initial
            weights are not checked.
    """
    parts = components(cfg)
    problems = [problem for rule in _FIRST for problem in rule(cfg, parts)]
    problems += building_problems(cfg, parts, problems)
    failure = None
    for rule in _RULES + (_TRAINING if training else ()):
        try:
            problems += rule(cfg, parts)
        except Exception as error:
            failure = error
    # A rule may fail on an entry that another rule has reported: then ignore it.
    if failure is not None and not problems:
        raise failure
    return list(dict.fromkeys(problems))


def check_config(cfg: Mapping[str, Any], training: bool = True) -> None:
    """Refuse a config that has problems.

    Args:
        cfg: Experiment config.
        training: As for :func:`find_problems`.

    Raises:
        ConfigCheckError: There are problems; the message names each with its key and a
            remedy.
    """
    problems = find_problems(cfg, training)
    if problems:
        raise ConfigCheckError(problems, getattr(cfg, 'filename', None))
