"""Monitored scores of checkpoints, early stopping and schedules that do not exist."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.optim.scheduler import ReduceOnPlateauParamScheduler
from mmseg.evaluation import IoUMetric

from mcdrl_common.config_datasets import evaluators
from mcdrl_common.metric_names import CALIBRATION_METRICS, LESION_WISE_METRICS
from mcdrl_common.site_scores import summarise
from mcdrl_mmseg.datasets import EndoscopySiteDataset
from mcdrl_mmseg.evaluation import SiteLesionMetric
from mcdrl_mmseg.evaluation.report_table import columns_left_out
from mcdrl_mmseg.evaluation.site_lesion_metric import SCOPED_METRICS

from .config_components import Component
from .config_problem import ConfigProblem, did_you_mean

_IOU_METRICS = {
    'mIoU': ('mIoU', 'mAcc'),
    'mDice': ('mDice', 'mAcc'),
    'mFscore': ('mFscore', 'mPrecision', 'mRecall'),
}
_LOWER_IS_BETTER = (
    *('mHD95', 'missed_rate', 'false_positive_rate', 'false_area'),
    *CALIBRATION_METRICS,
    *LESION_WISE_METRICS[-2:],
)
_NOT_WITHIN_0_AND_1 = ('mHD95', 'images', *LESION_WISE_METRICS[-2:])
_SCOPES = ('site', 'lesion', 'class', 'site_mean', 'class_mean', 'worst_site')
_EVALUATORS = ('val_evaluator', 'test_evaluator')


def monitor_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """A monitored score that no validation computes, or that has the wrong rule.

    Nothing is reported if a metric's class is not known here.
    """
    metrics = [p for p in parts if p.place.startswith('val_evaluator')]
    known = _names(cfg, metrics)
    for place, name, rule in _monitored(parts):
        if not cfg.get('val_evaluator') or not cfg.get('val_dataloader'):
            what = f'monitors {name!r}, but there is no validation.'
            remedy = 'Set val_dataloader, val_cfg and val_evaluator, or remove it.'
            yield ConfigProblem(place, what, remedy)
        elif known is None or name == 'auto':
            continue
        elif name not in known and not _is_scoped(name, parts, metrics):
            near = did_you_mean(name, known)
            remedy = f'Did you mean {near!r}? ' if near else ''
            remedy += f'Available scores: {", ".join(known)}.'
            what = f'monitors {name!r}, which val_evaluator does not compute.'
            yield ConfigProblem(place, what, remedy)
        else:
            right = 'less' if name.endswith(_LOWER_IS_BETTER) else 'greater'
            rule = _inferred_rule(name) if rule is None else rule
            if rule in ('greater', 'less') and rule != right:
                what = f'treats the worst {name} as the best: its rule is {rule!r}.'
                yield ConfigProblem(place, what, f'Set rule={right!r}.')


def patience_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Early stopping that ignores gains below 0.1 of a score within 0 and 1.

    0.1 is MMEngine's default, meant for scores in per cent.
    """
    metrics = [
        part
        for part in parts
        if part.place.startswith('val_evaluator') and part.cls is SiteLesionMetric
    ]
    for part in parts:
        name = part.cfg.get('monitor')
        if not part.is_a(EarlyStoppingHook) or not isinstance(name, str):
            continue
        if 'min_delta' in part.cfg or name.endswith(_NOT_WITHIN_0_AND_1):
            continue
        own = {score for metric in metrics for score in _names_of(metric) or ()}
        if name in own or _is_scoped(name, parts, metrics):
            yield ConfigProblem(
                part.at('min_delta'),
                f'is not given: gains in {name} below the default of 0.1 would be '
                'ignored, and a training that still improves would be stopped.',
                'Set min_delta=0.001.',
            )


def metric_name_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Two metrics of one evaluator whose scores have the same names.

    MMEngine refuses this as well, but only after the first complete evaluation.
    """
    for key in _EVALUATORS:
        metrics = [part for part in parts if part.place.startswith(key)]
        counts = Counter(
            name for part in metrics for name in set(_names_of(part) or ())
        )
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            what = f'two metrics compute {", ".join(twice)}.'
            yield ConfigProblem(key, what, "Give one of them prefix='...'.")


def _monitored(parts: Sequence[Component]) -> Iterator[tuple[str, str, Any]]:
    """Full key, name and rule of every monitored score."""
    for part in parts:
        if part.is_a(CheckpointHook):
            key, rule = 'save_best', part.cfg.get('rule')
        elif part.is_a(EarlyStoppingHook):
            key, rule = 'monitor', part.cfg.get('rule')
        elif part.is_a(ReduceOnPlateauParamScheduler):
            key, rule = 'monitor', part.cfg.get('rule', 'less')
        else:
            continue
        names = part.cfg.get(key, 'loss' if rule and key == 'monitor' else None)
        several = isinstance(names, (list, tuple))
        names = list(names) if several else [names]
        rules = list(rule) if isinstance(rule, (list, tuple)) else [rule] * len(names)
        for name, own in itertools.zip_longest(names, rules[: len(names)]):
            if isinstance(name, str) and name:
                yield part.at(key), name, own


def _inferred_rule(name: str) -> str | None:
    """Rule that MMEngine infers from parts of a name; None if it requires a rule.

    "top", "acc", "auc" and "map" mean greater, even inside the name of a site.
    """
    try:
        return CheckpointHook(save_best=name).rules[0]
    except ValueError:
        return None


def _names(cfg: Mapping[str, Any], metrics: Sequence[Component]) -> list[str] | None:
    """Names of all scores of a validation; None if one of its metrics is not known."""
    names: dict[str, None] = {}
    own = [_names_of(part) for part in metrics]
    if len(evaluators(cfg.get('val_evaluator'))) > len([n for n in own if n]):
        return None
    for some in own:
        names.update(dict.fromkeys(some or ()))
    return list(names)


def _names_of(part: Component) -> list[str] | None:
    """Names of the scores of one metric; for SiteLesionMetric those of all images."""
    if part.cls is SiteLesionMetric:
        flags = (part.cfg.get(key, True) for key in ('surface', 'thresholds'))
        left_out = columns_left_out(*flags)
        names = [name for name in summarise([]) if name not in left_out]
        if part.value('calibration'):
            names += CALIBRATION_METRICS
    elif part.cls is IoUMetric:
        wanted = part.value('iou_metrics')
        wanted = [wanted] if isinstance(wanted, str) else wanted
        if not set(map(str, wanted)) <= _IOU_METRICS.keys():
            return None
        found = [name for kind in wanted for name in _IOU_METRICS[kind]]
        names = [] if part.cfg.get('format_only') else ['aAcc', *dict.fromkeys(found)]
    else:
        return None
    prefix = part.cfg.get('prefix')
    return [f'{prefix}/{name}' if prefix else name for name in names]


def _is_scoped(
    name: str, parts: Sequence[Component], metrics: Sequence[Component]
) -> bool:
    """Whether a name is a score of a site, a lesion type or a class."""
    for part in metrics:
        prefix = part.cfg.get('prefix')
        scope, _, metric = name.removeprefix(f'{prefix}/').rpartition('/')
        kind, _, of = scope.partition('/')
        if part.cls is not SiteLesionMetric or kind not in _SCOPES:
            continue
        sites = _validated_sites(parts)
        if metric in SCOPED_METRICS and (kind != 'site' or not sites or of in sites):
            return True
    return False


def _validated_sites(parts: Sequence[Component]) -> set[str]:
    """Names of the validation sites; empty for other data sets."""
    names: set[str] = set()
    for part in parts:
        if part.place.startswith('val_dataloader') and part.is_a(EndoscopySiteDataset):
            for site in part.cfg.get('sites') or ():
                name = site.get('name') if isinstance(site, Mapping) else site
                names.add(str(name))
    return names
