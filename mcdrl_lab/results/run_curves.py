"""Curves of training runs: each loss, the gate, the learning rate, the validation."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcdrl_common.metric_names import HEADLINE
from mcdrl_common.palette import line_style
from mcdrl_lab.errors import ProtocolError

from .image_metrics import scale_of
from .plots import legend_above
from .run_log import RunLog, read_run_log

_COLUMNS = 2
# Logged values other than losses that are drawn -> title.
_OTHERS = {'gate': 'gate', 'lr': 'learning rate'}
_NAMES = {'loss': 'loss, total'}


def run_curves(logs: Mapping[str, RunLog], metric: str = HEADLINE) -> Figure:
    """Draw one run, or several overlaid.

    For a single run the validation is also drawn by site.

    Args:
        logs: Name of each run -> its log.
        metric: The validation metric to draw; its best value is marked.

    Raises:
        ProtocolError: There were validations, but none has the metric, or some runs
            count epochs and others iterations.
    """
    units = sorted({log.unit for log in logs.values()})
    if len(units) > 1:
        raise ProtocolError(
            'some of the runs count epochs and others iterations: draw them separately.'
        )
    _check_metric(logs, metric)
    losses = dict.fromkeys(name for log in logs.values() for name in log.losses)
    others = [n for n in _OTHERS if any(n in log.training for log in logs.values())]
    panels = [*losses, *others, metric]

    rows = math.ceil(len(panels) / _COLUMNS)
    figure = Figure(figsize=(9.0, 0.6 + 2.1 * rows), layout='constrained')
    grid = figure.subplots(rows, _COLUMNS, sharex=True, squeeze=False)
    all_axes = list(grid.flat)
    for axes, name in zip(all_axes, panels):
        if name == metric:
            _draw_validation(axes, logs, metric)
        else:
            _draw_training(axes, logs, name)
        axes.grid(alpha=0.3)
        axes.set_xlim(left=0)
    for axes in all_axes[len(panels) :]:
        axes.remove()
    for axes in all_axes[max(0, len(panels) - _COLUMNS) : len(panels)]:
        axes.set_xlabel(units[0])
        # With a shared x axis, a panel above a removed one hides its tick labels.
        axes.tick_params(labelbottom=True)
    if len(logs) > 1:
        handles, labels = all_axes[0].get_legend_handles_labels()
        legend_above(figure, handles, labels, columns=3)
    return figure


def _check_metric(logs: Mapping[str, RunLog], metric: str) -> None:
    known = dict.fromkeys(
        name
        for log in logs.values()
        for name in log.validation
        if name not in ('progress', 'time', 'data_time')
    )
    if known and metric not in known:
        plain = ', '.join(name for name in known if '/' not in name)
        raise ProtocolError(
            f'the validations have no metric {metric!r}; choose one of {plain}, or one '
            'of a site, as site/SITE/METRIC.'
        )


def _draw_training(axes: Axes, logs: Mapping[str, RunLog], name: str) -> None:
    for number, (label, log) in enumerate(logs.items()):
        if name in log.training:
            axes.plot(
                log.training['progress'],
                log.training[name],
                label=label,
                linewidth=1.2,
                # A line with a single point is invisible.
                marker='.' if len(log.training) == 1 else None,
                **line_style(number),
            )
    axes.set_title({**_NAMES, **_OTHERS}.get(name, name), fontsize=10)
    if name == 'gate':
        axes.set_ylim(-0.05, 1.05)
    elif name == 'lr':
        axes.set_ylim(bottom=0)
        axes.ticklabel_format(axis='y', style='sci', scilimits=(0, 0))


def _draw_validation(axes: Axes, logs: Mapping[str, RunLog], metric: str) -> None:
    scale = scale_of(metric)
    unit = ' (%)' if scale == 100 else ''
    axes.set_title(f'validation {metric}{unit}', fontsize=10)
    logs = {label: log for label, log in logs.items() if metric in log.validation}
    if not logs:
        axes.text(0.5, 0.5, 'no validation yet', ha='center', transform=axes.transAxes)
        return
    single = len(logs) == 1
    for number, log in enumerate(logs.values()):
        # With markers, as a line with a single validation is invisible.
        marker = dict(marker='.', markersize=5)
        progress = log.validation['progress']
        axes.plot(
            progress,
            scale * log.validation[metric],
            label='all images',
            linewidth=1.8,
            **marker,
            **line_style(number),
        )
        if single:
            _draw_sites(axes, log, metric)
        best = log.best(metric)
        if best is not None:
            axes.plot(
                best[0],
                scale * best[1],
                marker='*',
                markersize=13,
                clip_on=False,
                linestyle='none',
                markerfacecolor='white',
                markeredgecolor='black',
                label=f'best: {scale * best[1]:.1f} at {log.unit} {best[0]:g}'
                if single
                else None,
            )
    if scale == 100:
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
    if single:
        axes.legend(fontsize=7, loc='best')
    else:
        axes.set_title(f'validation {metric}{unit}, best starred', fontsize=10)


def _draw_sites(axes: Axes, log: RunLog, metric: str) -> None:
    names = [
        name
        for name in log.validation
        if name.startswith('site/') and name.endswith(f'/{metric}')
    ]
    if len(names) < 2:
        return
    for number, name in enumerate(names, 1):
        axes.plot(
            log.validation['progress'],
            scale_of(metric) * log.validation[name],
            label=name.split('/')[1],
            linewidth=0.8,
            marker='.',
            markersize=3,
            **line_style(number),
        )


def read_run_logs(work_dirs: Sequence[str | os.PathLike]) -> dict[str, RunLog]:
    """Read the logs of work folders.

    Args:
        work_dirs: Work folders of ``tools/train.py``.

    Returns:
        Path relative to the folder that contains all of them -> log.

    Raises:
        ProtocolError: A folder has no usable log.
    """
    paths = [Path(folder).resolve() for folder in work_dirs]
    shared = os.path.commonpath([path.parent for path in paths])
    return {
        path.relative_to(shared).as_posix(): read_run_log(folder)
        for path, folder in zip(paths, work_dirs)
    }
