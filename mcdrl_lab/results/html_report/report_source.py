"""The source of a report: a plan's records, or one work folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mcdrl_common.image_records import read_records as read_image_records
from mcdrl_common.site_scores import by_site, summarise
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RECORDS_NAME, RunRecord, check_results
from mcdrl_lab.results.plan_records import load_records
from mcdrl_lab.results.scores import done


@dataclass(frozen=True)
class ReportSource:
    """Results, and the folders of their runs.

    Attributes:
        path: Path that the user named.
        records: Latest record of every run; for a work folder one per tested site.
        folders: Key of a run -> its folder, if that exists.
        is_plan: Whether the records are from a plan. Otherwise they are from a single
            run, whose seed and versions were not recorded.
    """

    path: Path
    records: list[RunRecord]
    folders: dict[tuple, Path]
    is_plan: bool

    @property
    def root(self) -> Path:
        """The folder of the records."""
        return self.path.parent if self.path.is_file() else self.path

    @property
    def place(self) -> Path:
        """Path that identifies the source: a folder may have several record files."""
        is_file = self.path.is_file() or not self.is_plan
        return self.path if is_file else self.path / RECORDS_NAME

    @property
    def methods(self) -> list[str]:
        """Methods with a finished run, in the order of the records."""
        return list(dict.fromkeys(record.method for record in done(self.records)))

    def first_runs(self, method: str) -> dict[str, RunRecord]:
        """Held-out site -> the finished run with the lowest seed.

        An oracle run is taken only if there is no other.

        Args:
            method: Name of the method.
        """
        runs = [r for r in done(self.records) if r.method == method]
        runs.sort(key=lambda r: (r.held_out, r.selection == 'oracle', r.seed))
        first: dict[str, RunRecord] = {}
        for record in runs:
            first.setdefault(record.held_out, record)
        return first


def load_source(path: str | os.PathLike) -> ReportSource:
    """Find the results at the path that the user named.

    Args:
        path: A ``records.jsonl``, the folder of a plan, or the work folder of a
            training with a per-image file of ``SiteLesionMetric``.

    Raises:
        ProtocolError: There are no results; says how to get them.
    """
    path = Path(path)
    if path.is_file() or (path / RECORDS_NAME).is_file():
        records = load_records(path)
        root = path.parent if path.is_file() else path
        folders = {record.key: root / record.folder for record in records}
        folders = {key: folder for key, folder in folders.items() if folder.is_dir()}
        return ReportSource(path, records, folders, is_plan=True)
    if not path.is_dir():
        raise ProtocolError(f'{path} is neither a file nor a folder.')
    records = _work_dir_records(path)
    return ReportSource(path, records, {r.key: path for r in records}, is_plan=False)


def _work_dir_records(folder: Path) -> list[RunRecord]:
    """One record per tested site, from the newest per-image file of the folder."""
    found = []
    for file in folder.glob('*.json'):
        try:
            content = read_image_records(file)
        except ValueError:
            continue  # another kind of JSON file
        try:
            check_results({}, content.get('images'))
        except ProtocolError as error:
            raise ProtocolError(f'{file}: {error}') from None
        found.append((file.stat().st_mtime, file, content['images']))
    if not found:
        raise ProtocolError(
            f'{folder} holds neither {RECORDS_NAME} nor a per-image file. Test the '
            'checkpoint with: python tools/test.py CONFIG CHECKPOINT --cfg-options '
            f'test_evaluator.records_path={folder}/test_records.json'
        )
    _, file, images = max(found, key=lambda entry: entry[0])
    try:
        return _records_by_site(folder, images)
    except (KeyError, TypeError) as error:
        raise ProtocolError(
            f'{file}: an image lacks a value or has one of the wrong type ({error}). '
            'Test the checkpoint again.'
        ) from None


def _records_by_site(folder: Path, images: list[dict]) -> list[RunRecord]:
    return [
        RunRecord(
            method=folder.resolve().name,
            config='',
            config_hash='',
            held_out=site,
            seed=0,
            metrics={
                name: float('nan') if value is None else value
                for name, value in summarise(group).items()
            },
            images=group,
        )
        for site, group in by_site(images).items()
    ]


def checkpoint_of(folder: Path) -> Path | None:
    """The checkpoint that a run was tested with, or None if it is gone."""
    found = list(folder.glob('best_*.pth'))
    # A kill while a new best checkpoint replaces the old can leave both; the later
    # one is better.
    return max(found, key=lambda path: path.stat().st_mtime) if found else None


def config_of(folder: Path) -> Path | None:
    """The complete config that a training wrote to its folder, or None."""
    own = folder / 'config.py'
    if own.is_file():
        return own
    # Not a config written by a test, which may be of another model's checkpoint: only
    # folders with training or validation scalars count.
    starts = [p.parent for p in sorted(folder.glob('*/vis_data/scalars.json'))]
    found = [s / 'config.py' for s in starts if (s / 'config.py').is_file()]
    return found[-1] if found else None
