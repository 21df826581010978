"""Runs a benchmark as its arguments ask, and writes the results."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mcdrl_common.atomic_write import write_text
from mcdrl_common.figure_files import write_figure
from mcdrl_common.written_files import WrittenFiles, check_renewable, places
from mcdrl_lab.errors import ProtocolError

from .benchmark_table import comparison_plot, comparison_table, shares_table
from .data_loading import measure_loading
from .environment import environment, sentence
from .models import Subject, against, load_subject, with_confounders, with_ratio
from .side_by_side import compare
from .starting import measure_start
from .steps import Setting

_NAME = 'benchmark.json'
_COMPARING = ('inference', 'train')


def run_benchmark(args: argparse.Namespace) -> None:
    """Measure, print, and write ``benchmark.json`` and a plot for each config.

    Args:
        args: Arguments of ``python -m mcdrl_lab benchmark``.

    Raises:
        ProtocolError: Something in the arguments cannot be measured.
        OutputError: Another file is in the way.
    """
    if args.rounds < 1 or args.batch_size < 1:
        raise ProtocolError('--rounds and --batch-size must be at least 1.')
    if not all(0 < ratio <= 1 for ratio in args.ratios):
        raise ProtocolError('--ratios: expected shares of positions above 0, up to 1.')
    if not all(count >= 1 for count in args.confounders):
        raise ProtocolError('--confounders: expected numbers of entries of at least 1.')
    if args.against and (args.ratios or args.confounders):
        raise ProtocolError(
            '--against cannot be used with --ratios or --confounders: these compare '
            'variants of one model only.'
        )
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        raise ProtocolError(f'--device {args.device}: PyTorch sees no such GPU here.')
    if args.threads:
        torch.set_num_threads(args.threads)
    where = environment(args.device)
    print(sentence(where))
    results = []
    # Load all configs first, so that an error in one is found before measuring.
    subjects = [load_subject(config) for config in args.config]
    plots = _plot_names(subjects)
    if args.out:
        _check_out(args, plots)
    for subject, plot in zip(subjects, plots, strict=True):
        if args.mode in _COMPARING:
            results.append(_compare(subject, args, plot))
        elif args.mode == 'start':
            results.append([_start(subject)])
        else:
            results.append(_loading(subject, args))
    if args.out:
        content = dict(environment=where, mode=args.mode, results=results)
        write_text(args.out / _NAME, json.dumps(content, indent=1) + '\n')
        WrittenFiles(args.out).add(args.out / _NAME, _made_of(args))
        print(f'Results and plots are in {args.out}.')


def _plot_names(subjects: Sequence[Subject]) -> list[str]:
    """File name of each subject's plot; unique even if subjects share a name."""
    names = [subject.name for subject in subjects]
    return [
        f'{name}-{number}.png' if names.count(name) > 1 else f'{name}.png'
        for number, name in enumerate(names, 1)
    ]


def _check_out(args: argparse.Namespace, plots: Sequence[str]) -> None:
    if args.out.exists() and not args.out.is_dir():
        raise ProtocolError(f'--out {args.out} is a file. Choose a folder.')
    names = [_NAME, *(plots if args.mode in _COMPARING else [])]
    targets = [args.out / name for name in names]
    check_renewable(targets, [], _made_of(args), args.overwrite)


def _made_of(args: argparse.Namespace) -> list[str]:
    """What identifies a benchmark; the number of passes is not part of it."""
    several = ('config', 'against', 'ratios', 'confounders')
    named = {*several, 'out', 'overwrite', 'rounds', 'time_only', 'cache_dir'}
    single = {name: value for name, value in vars(args).items() if name not in named}

    def whole(value: Any) -> Any:
        is_path = isinstance(value, str) and os.path.isfile(value)
        return places(value)[0] if is_path else value

    return [
        'benchmark',
        *([] if args.time_only else ['FLOPs, memory and parts']),
        *(['--cache-dir'] if args.cache_dir else []),
        *(f'{name} {value}' for name, value in sorted(single.items())),
        *(
            f'{name} {whole(value)}'
            for name in several
            for value in getattr(args, name)
        ),
    ]


def _compare(
    subject: Subject, args: argparse.Namespace, plot: str
) -> list[dict[str, Any]]:
    setting = Setting(
        args.device,
        args.batch_size,
        args.size,
        args.amp,
        args.compile,
        args.channels_last,
    )
    subjects, count = _subjects(subject, args), not args.time_only
    records = compare(subjects, args.mode, setting, args.rounds, count, args.cpu_time)
    clock = 'time on the cores' if args.cpu_time else 'wall clock'
    print(
        f'\n{subject.name}: {args.mode}, batch {args.batch_size}, {args.size} px, '
        f'{clock}'
    )
    print(comparison_table(records))
    print(shares_table(records))
    if args.out:
        write_figure(comparison_plot(records), args.out / plot)
        WrittenFiles(args.out).add(args.out / plot, _made_of(args))
    return records


def _subjects(subject: Subject, args: argparse.Namespace) -> Sequence[Subject]:
    others = [against(subject, name) for name in args.against]
    if args.mode == 'train' and any(other.bare_tower for other in others):
        raise ProtocolError('--against tower: a bare tower has nothing to train on.')
    if args.mode == 'train':
        for each in (subject, *others):
            _check_trainable_alone(each)
    varied = [with_ratio(subject, ratio) for ratio in args.ratios]
    varied += [with_confounders(subject, count) for count in args.confounders]
    # The last variant comes first: ratios say how much more it costs than the others.
    return [*reversed(varied)] if varied else [subject, *others]


def _check_trainable_alone(subject: Subject) -> None:
    if 'optim_wrapper' not in subject.cfg:
        raise ProtocolError(
            f'--mode train: {subject.name} has no optim_wrapper, but a step needs an '
            'optimiser. Use a complete training config.'
        )
    optimizer = subject.cfg.optim_wrapper.optimizer.type
    if optimizer in ('ZeroOptimizer', 'ZeroRedundancyOptimizer'):
        raise ProtocolError(
            f'--mode train: {subject.name} has a {optimizer}, which shards its state '
            'over processes, but the benchmark is a single process. Use a config with '
            'the plain optimiser, without sharding.'
        )


def _start(subject: Subject) -> dict[str, Any]:
    record = measure_start(subject)
    print(
        f'\n{subject.name}: the dictionary took {record["cold"]:.0f} ms with an empty '
        f'cache and {record["warm"]["median"]:.1f} ms '
        f'({record["warm"]["low"]:.1f} to {record["warm"]["high"]:.1f}) with a warm one'
    )
    return record


def _loading(subject: Subject, args: argparse.Namespace) -> list[dict[str, Any]]:
    records = [measure_loading(subject)]
    if args.cache_dir:
        records.append(measure_loading(subject, str(Path(args.cache_dir))))
    for record in records:
        print(
            f'{record["name"]}: {record["images_per_second"]:.1f} images/s with '
            f'{record["workers"]} workers'
        )
    return records
