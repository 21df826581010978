"""Run records: one JSON line per run, appended and never changed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mcdrl_common.json_files import as_json
from mcdrl_common.lesion_counts import is_counts
from mcdrl_common.metric_names import CONFIDENCES
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.image_metrics import IMAGE_METRICS

from .folder_names import check_name, run_folder_of
from .json_lines import append_line, parse_line, read_lines

RECORDS_NAME = 'records.jsonl'
SCHEMA = 1
SELECTIONS = ('validation', 'oracle')
STATUSES = ('done', 'failed')
_TYPES: dict[str, type | tuple[type, ...]] = {
    'method': str,
    'config': str,
    'config_hash': str,
    'held_out': str,
    'seed': int,
    'metrics': dict,
    'images': list,
    'versions': dict,
    'budget': dict,
    'data_hash': str,
    'duration_s': (int, float),
    'error': (str, type(None)),
}
# Records of older versions lack these keys.
_LATER_KEYS = frozenset({'sites', 'method_hash', 'model_hash'})
_NUMBER = (int, float, type(None))
_PIXEL_COUNTS = ('tp', 'fn', 'fp', 'tn', 'pixels')


@dataclass(frozen=True)
class RunRecord:
    """Settings and results of one run.

    Args:
        method: Name of the method, the row in a table.
        config: Path of the config that the run was derived from, as given.
        config_hash: Hash of the run's own config, with fold and seed.
        held_out: Name of the held-out site: tested, never trained on.
        seed: Random seed of the run.
        selection: ``'validation'`` if the checkpoint was chosen on the training
            sites, ``'oracle'`` if it was chosen on the held-out site.
        metrics: Summary values of the test, name -> value; undefined ones are NaN.
        images: Per-image records of the test.
        sites: Further results of the metric for each tested site; empty in older
            records.
        versions: Package name -> version.
        budget: Epochs or iters, batch size, image size and number of training images;
            and ``kept_features``, the precision of cached features, if it is not
            float32.
        data_hash: Hash of all sites' files.
        method_hash: Hash of the method's settings, the same for all its sites and
            seeds; empty in older records.
        model_hash: Hash of the network's settings, which is in the checkpoint too, see
            :func:`~mcdrl_common.model_settings.model_hash`; empty in older records.
        duration_s: Seconds of training and test together.
        status: ``'done'`` or ``'failed'``.
        error: Error message of a failed run.
        schema: Version of this layout.
    """

    method: str
    config: str
    config_hash: str
    held_out: str
    seed: int
    selection: str = 'validation'
    metrics: Mapping[str, float] = field(default_factory=dict)
    images: list[dict] = field(default_factory=list)
    sites: Mapping[str, dict] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    budget: Mapping[str, Any] = field(default_factory=dict)
    data_hash: str = ''
    method_hash: str = ''
    model_hash: str = ''
    duration_s: float = 0.0
    status: str = 'done'
    error: str | None = None
    schema: int = SCHEMA

    @property
    def key(self) -> tuple[str, str, int, str]:
        """Unique key of a run: method, held-out site, seed, selection."""
        return self.method, self.held_out, self.seed, self.selection

    @property
    def folder(self) -> str:
        """The run's folder, relative to its plan's."""
        return run_folder_of(*self.key)

    def to_json(self) -> str:
        """The record as one line of strict JSON; NaN becomes null."""
        values = asdict(self)
        values['metrics'] = {
            name: None if value is None or not math.isfinite(value) else float(value)
            for name, value in self.metrics.items()
        }
        for name in _LATER_KEYS:
            if not values[name]:
                # Left out if empty, so that a record reads as in older versions.
                del values[name]
        return as_json(values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunRecord:
        """Make a record from one parsed line, and check it.

        Args:
            values: The parsed JSON object.

        Raises:
            ProtocolError: A key is missing or unknown, or a value is not allowed.
        """
        if not isinstance(values, Mapping):
            raise ProtocolError('a run record must be a JSON object.')
        if values.get('schema') != SCHEMA:
            raise ProtocolError(
                f'schema={values.get("schema")!r} is not supported; this version '
                f'reads schema {SCHEMA}.'
            )
        known = {item.name for item in fields(cls)}
        missing = sorted(known - set(values) - _LATER_KEYS)
        unknown = sorted(set(values) - known)
        if missing or unknown:
            raise ProtocolError(f'keys missing: {missing}, keys unknown: {unknown}.')
        for name, allowed in (('selection', SELECTIONS), ('status', STATUSES)):
            if values[name] not in allowed:
                raise ProtocolError(
                    f'{name}={values[name]!r} is not one of {list(allowed)}.'
                )
        _check_types(values)
        # Both name folders below the plan's folder, in which files are written.
        check_name('method', values['method'])
        check_name('site', values['held_out'])
        metrics = {
            name: math.nan if value is None else float(value)
            for name, value in values['metrics'].items()
        }
        return cls(**{**values, 'metrics': metrics})


def _check_types(values: Mapping[str, Any]) -> None:
    wrong = [n for n, allowed in _TYPES.items() if not _is_a(values[n], allowed)]
    sites = values.get('sites', {})
    if not (_is_a(sites, dict) and all(_is_a(s, dict) for s in sites.values())):
        wrong.append('sites')
    hashes = ('method_hash', 'model_hash')
    wrong += [name for name in hashes if not _is_a(values.get(name, ''), str)]
    if 'duration_s' not in wrong and not math.isfinite(values['duration_s']):
        wrong.append('duration_s')
    versions = values['versions'].values() if 'versions' not in wrong else ()
    if not all(_is_a(value, str) for value in versions):
        wrong.append('versions')
    if wrong:
        raise ProtocolError(f'these values have the wrong type: {wrong}.')
    check_results(values['metrics'], values['images'])


def check_results(metrics: Any, images: Any) -> None:
    """Check the results of a test, from a record or from the metric's file.

    Args:
        metrics: Summary values.
        images: Per-image records.

    Raises:
        ProtocolError: A value has the wrong type, or an image lacks an entry that
            comparisons need.
    """
    wrong = []
    numbers = metrics.values() if isinstance(metrics, dict) else ('none',)
    if not all(value is None or _is_a(value, (int, float)) for value in numbers):
        wrong.append('metrics')
    entries = images if isinstance(images, list) else ('none',)
    if not all(isinstance(image, dict) for image in entries):
        wrong.append('images')
    if wrong:
        raise ProtocolError(f'these values have the wrong type: {wrong}.')
    for number, image in enumerate(images):
        _check_image(f'images[{number}]', image)


def _check_image(where: str, image: Mapping[str, Any]) -> None:
    """Check the entries of an image that comparisons and reports use."""
    sequence = image.get('sequence')
    right = {
        'image': _is_a(image.get('image'), str),
        'has_lesion': isinstance(image.get('has_lesion'), bool),
        'sequence': _is_a(sequence, (str, type(None))),
        **{metric: isinstance(image.get(metric), _NUMBER) for metric in IMAGE_METRICS},
    }
    # Older records have no lesion counts.
    if 'lesions' in image:
        right['lesions'] = is_counts(image['lesions'])
    # Older records lack the network's own confidence too.
    for name in CONFIDENCES:
        right[name] = isinstance(image.get(name), _NUMBER)
    counts = [name for name in _PIXEL_COUNTS if name in image]
    right |= {name: _is_a(image[name], (int, float)) for name in counts}
    if 'lesion_classes' in image:
        right['lesion_classes'] = _are_names(image['lesion_classes'])
    wrong = [name for name, is_right in right.items() if not is_right]
    if wrong:
        raise ProtocolError(f'{where}: missing or of the wrong type: {wrong}.')


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_a(value: Any, allowed: type | tuple[type, ...]) -> bool:
    # In Python a bool is an int.
    return isinstance(value, allowed) and not isinstance(value, bool)


def _parse(line: bytes) -> RunRecord:
    return RunRecord.from_dict(parse_line(line))


def read_records(path: str | os.PathLike) -> list[RunRecord]:
    """Read all records of a file in the order in which they were written.

    Args:
        path: A ``records.jsonl``, or one compressed by gzip with a name that ends in
            ``.gz``.

    Returns:
        The records; see :func:`~mcdrl_lab.plans.json_lines.read_lines`.

    Raises:
        ProtocolError: A line is not a record; names file and line.
    """
    return read_lines(path, _parse)


def append_record(path: str | os.PathLike, record: RunRecord) -> None:
    """Append one record and force it to disk.

    Args:
        path: A ``records.jsonl``; see
            :func:`~mcdrl_lab.plans.json_lines.append_line`.
        record: The record to append.
    """
    append_line(path, record.to_json(), _parse)


def latest_records(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Keep one record per run: the last finished one, else the last failed one.

    Args:
        records: Records in the order in which they were written.

    Returns:
        One record per run, in the order in which the runs first appear.
    """
    latest: dict[tuple, RunRecord] = {}
    for record in records:
        known = latest.get(record.key)
        if known is None or record.status == 'done' or known.status == 'failed':
            latest[record.key] = record
    return list(latest.values())


def read_latest(path: str | os.PathLike) -> list[RunRecord]:
    """Read a file by :func:`read_records` and reduce it by :func:`latest_records`."""
    return latest_records(read_records(path))


def unlike(a: RunRecord, b: RunRecord) -> list[str]:
    """Differences between two runs of a method that should not exist.

    The number of training images may differ: it depends on the held-out site.

    Args:
        a: A run.
        b: Another run of the method, with another site or seed.

    Returns:
        Name and both values of each difference. Settings are compared only if both
        records have a hash of them.
    """
    found = []
    if a.data_hash != b.data_hash:
        found.append(f'data (hash {a.data_hash[:12]} and {b.data_hash[:12]})')
    for key in sorted({*a.budget, *b.budget} - {'train_images'}):
        if a.budget.get(key) != b.budget.get(key):
            found.append(f'{key} ({a.budget.get(key)} and {b.budget.get(key)})')
    hashes = a.method_hash, b.method_hash
    if not found and all(hashes) and a.method_hash != b.method_hash:
        found.append(f'settings (hash {hashes[0][:12]} and {hashes[1][:12]})')
    return found
