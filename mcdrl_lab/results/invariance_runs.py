"""Measures the invariance of all models of a plan, one after another."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.hashing import data_hash, list_files
from mcdrl_lab.plans.json_lines import append_line
from mcdrl_lab.plans.run_folder import RunFolder
from mcdrl_lab.simulation.hospitals import SITES
from mcdrl_lab.simulation.simulated_sites import Benchmark
from mcdrl_mmseg.apis.checkpoint import load_segmentor

from .invariance_measurement import (
    draw_pairs,
    draw_probe_scenes,
    measure_pairs,
    measure_probes,
)
from .invariance_record import FEATURES, InvarianceRecord
from .invariance_tables import read_invariance
from .probe import ProbeScore


@dataclass(frozen=True)
class TrainedRun:
    """A finished run of a plan.

    Args:
        method: Name of the method.
        held_out: The held-out site.
        seed: Random seed.
        folder: The run's folder.
    """

    method: str
    held_out: str
    seed: int
    folder: Path

    @property
    def settings(self) -> str:
        """First twelve digits of the config's hash; empty if it was not noted."""
        return str(RunFolder(self.folder).state.get('config_hash', ''))[:12]


def find_runs(
    out: str | os.PathLike,
    methods: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> list[TrainedRun]:
    """Find the tested runs of a plan, ordered by held-out site.

    Args:
        out: Folder of a leave-one-site-out or ablation plan.
        methods: Names of methods; None takes all.
        seeds: Random seeds; None takes all.

    Raises:
        ProtocolError: There is no such run, or a held-out site is not one of EndoSim's.
    """
    runs = []
    for state in sorted(Path(out).glob('*/*/seed*/state.json')):
        folder = state.parent
        seed = re.fullmatch(r'seed(\d+)', folder.name)
        if seed is None or not RunFolder(folder).state.get('tested'):
            continue
        method, held_out = folder.parts[-3:-1]
        runs.append(TrainedRun(method, held_out, int(seed[1]), folder))
    runs = [
        run
        for run in runs
        if (methods is None or run.method in methods)
        and (seeds is None or run.seed in seeds)
    ]
    if not runs:
        raise ProtocolError(
            f'{out} has no finished run (METHOD/SITE/seedN), or none that matches '
            '--methods and --seeds.'
        )
    for run in runs:
        if run.held_out not in SITES:
            raise ProtocolError(
                f'{run.folder} held out {run.held_out}, which is not a site of '
                'EndoSim. Only at these sites can the same scene be drawn under other '
                'conditions.'
            )
    return sorted(runs, key=lambda run: (SITES.index(run.held_out), run.seed))


def measure_runs(
    runs: Sequence[TrainedRun],
    data: str | os.PathLike,
    out: str | os.PathLike,
    scenes: int = 40,
    probe_scenes: int = 400,
    device: str | None = None,
) -> Iterator[InvarianceRecord]:
    """Measure runs, and append a record of each to a file.

    Runs that are already in the file are not measured again.

    Args:
        runs: From :func:`find_runs`.
        data: EndoSim data set that they were trained on.
        out: File of JSON lines.
        scenes: Scenes with lesion of the held-out site, each drawn 24 times.
        probe_scenes: Scenes of each linear probe; 0 leaves the probes out.
        device: As ``'cuda:0'``; None takes a GPU if there is one.

    Yields:
        Each new record.

    Raises:
        InputError: ``data`` is no EndoSim data set or has too few scenes, a checkpoint
            cannot be used, or the file has the same run with other numbers of scenes,
            another data set or other settings.
    """
    benchmark = Benchmark.read(Path(data))
    _warn_of_other_data(runs, Path(data))
    known = {record.key: record for record in read_invariance(out)}
    # Runs are sorted by site, so that one cached entry avoids drawing scenes twice.
    pairs_of = lru_cache(maxsize=1)(lambda site: draw_pairs(benchmark, site, scenes))
    drawn = draw_probe_scenes(benchmark, probe_scenes) if probe_scenes else None
    for run in runs:
        key = (run.method, run.held_out, run.seed, benchmark.spurious)
        if key in known:
            counts = scenes, probe_scenes
            _check_known(known[key], run, counts, benchmark.fingerprint, out)
            continue
        checkpoint = RunFolder(run.folder).best_checkpoint()
        model = load_segmentor(checkpoint, device=device)
        scores = measure_probes(model, *drawn) if drawn else None
        record = InvarianceRecord(
            method=run.method,
            held_out=run.held_out,
            seed=run.seed,
            spurious=benchmark.spurious,
            pairs=measure_pairs(model, pairs_of(run.held_out)),
            probes=None if scores is None else _probe_values(scores),
            probe_scenes=probe_scenes,
            data=benchmark.fingerprint,
            settings=run.settings,
        )
        append_line(out, record.to_json())
        yield record


def _warn_of_other_data(runs: Sequence[TrainedRun], data: Path) -> None:
    files = data_hash(list_files(data, SITES))
    for run in runs:
        origin = RunFolder(run.folder).state.get('origin') or {}
        if origin.get('data hash', files) != files:
            warnings.warn(
                f'{run.folder} was trained on files with other names or sizes than '
                f'those in {data}. Check that --data is not another draw of EndoSim: '
                'the record takes the strength of the confounding from it.',
                stacklevel=3,
            )
            return


def _check_known(
    record: InvarianceRecord,
    run: TrainedRun,
    counts: tuple[int, int],
    data: str,
    out: str | os.PathLike,
) -> None:
    """Refuse a record with the same name but other settings, data or scenes."""
    held = (
        f'{out}: the record of {record.method}, {record.held_out}, seed {record.seed}'
    )
    if record.settings and run.settings and record.settings != run.settings:
        raise ProtocolError(
            f'{held} is of a training with other settings (hash {record.settings}) '
            f'than {run.folder} ({run.settings}): choose another --out.'
        )
    if record.data and record.data != data:
        raise ProtocolError(
            f'{held} was measured on another data set (--data), such as one drawn with '
            'another --seed: choose another --out.'
        )
    had = {pair.scenes for pair in record.pairs.values()}
    if (had, record.probe_scenes) != ({counts[0]}, counts[1]):
        of = ', '.join(map(str, sorted(had)))
        raise ProtocolError(
            f'{held} was measured with --scenes {of} --probe-scenes '
            f'{record.probe_scenes}, not with {counts[0]} and {counts[1]}: choose '
            'another --out, or use the earlier numbers.'
        )


def _probe_values(
    scores: Mapping[str, Mapping[str, ProbeScore]],
) -> dict[str, dict[str, float]]:
    return {
        name: {
            **{f: round(by_feature[f].accuracy, 6) for f in FEATURES},
            'chance': by_feature['F'].chance,
        }
        for name, by_feature in scores.items()
    }
