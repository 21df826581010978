"""The folder of one run: config, state, logs and checkpoints; a kill loses nothing."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from mcdrl_common.atomic_write import atomic_write, write_text
from mcdrl_common.image_records import read_records
from mcdrl_common.json_files import is_number, parse_json, read_json
from mcdrl_common.whole_checkpoint import is_whole
from mcdrl_lab.errors import ProtocolError

from .folds import RECORDS_FILE, place_run
from .hashing import LOCATION_KEYS, config_hash, differing_keys, plain
from .records import check_results

if TYPE_CHECKING:
    from mmengine.config import Config

# torchrun's own error only says that a process failed; the reason is further up, in the
# output of that process. The programs print user errors after their own name (train:,
# test:), without a traceback.
_ERROR_LINE = re.compile(
    r'(train|test): |(?!torch\.distributed\.elastic)[\w.]*(Error|Exception|Exit)\b'
)
_DECORATION = re.compile(r'\x1b\[[0-9;]*m|^\s*\[rank\d+\]: ')


def failure_reason(log: str) -> str:
    """The line of a log that says why a process failed.

    Args:
        log: Text of the log.

    Returns:
        The last line that looks like an error, else the last line; '' if
        there is none.
    """
    lines = [_DECORATION.sub('', line).strip() for line in log.splitlines()]
    lines = [line for line in lines if line]
    errors = [line for line in lines if _ERROR_LINE.match(line)]
    return (errors or lines or [''])[-1]


def _checked_state(path: Path) -> dict[str, Any]:
    """Read a state file; raises a ValueError if this module cannot have written it."""
    state = read_json(path)
    if not isinstance(state, dict):
        raise ValueError('not a JSON object')
    attempts = state.get('attempts', [])
    settings, checkpoint = state.get('settings'), state.get('checkpoint')
    right = (
        isinstance(attempts, list)
        and all(map(_is_attempt, attempts))
        and isinstance(settings, dict | NoneType)
        and isinstance(state.get('origin'), dict | NoneType)
        and isinstance(checkpoint, str | NoneType)
        and checkpoint in (None, Path(checkpoint or '').name)
    )
    if not right:
        raise ValueError('its entries have the wrong type')
    return state


def _is_attempt(attempt: Any) -> bool:
    return (
        isinstance(attempt, dict)
        and attempt.get('stage') in ('train', 'test')
        and _is_time(attempt.get('started'))
        and (attempt.get('ended', '') is None or _is_time(attempt.get('ended')))
    )


def _is_time(value: Any) -> bool:
    return is_number(value) and math.isfinite(value)


def _holds_records(path: Path) -> bool:
    try:
        content = read_records(path)
        check_results(content.get('metrics'), content.get('images'))
    except ValueError:
        return False
    return True


class RunFolder:
    """The files of a run, and the point at which an interrupted run resumes.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.config_path = self.path / 'config.py'
        self.records_path = self.path / RECORDS_FILE
        self._state_path = self.path / 'state.json'

    @property
    def state(self) -> dict[str, Any]:
        """The saved state of the run; empty if it is missing or damaged."""
        try:
            return _checked_state(self._state_path)
        except (FileNotFoundError, ValueError):
            return {}

    def set_aside_if_damaged(self) -> list[str]:
        """Rename damaged files, so that their stage is repeated.

        A damaged state is renamed to ``state.json.damaged``. If the state is damaged or
        missing, all checkpoints are renamed in the same way, because their settings are
        unknown. If the best checkpoint is missing or damaged, the training is repeated;
        if the test's records are, the test.

        Returns:
            One message for each problem found.
        """
        found = []
        checkpoints = list(self.path.glob('*.pth'))
        try:
            _checked_state(self._state_path)
        except FileNotFoundError:
            if checkpoints:
                found.append(
                    f'{self._state_path} is missing: the run starts from the beginning'
                )
        except ValueError as error:
            found.append(
                f'{self._state_path} is damaged ({error}): the run starts from the '
                'beginning'
            )
            checkpoints.append(self._state_path)
        if found:
            self._set_aside(checkpoints)
        state = self.state
        checkpoint = state.get('checkpoint')
        tested = state.get('tested')
        if tested and not _holds_records(self.records_path):
            found.append(
                f'{self.records_path} is missing or damaged: the test is repeated'
            )
            self.update(tested=False)
            tested = False
        if checkpoint and not tested and not is_whole(self.path / checkpoint):
            found.append(
                f'{self.path / checkpoint} is missing or damaged: the training is '
                'repeated'
            )
            # The others may be later than the best one, and resuming from them would
            # not reach it again.
            self._set_aside(list(self.path.glob('*.pth')))
            self.update(checkpoint=None)
        return found

    def _set_aside(self, files: Iterable[Path]) -> None:
        for path in files:
            path.replace(path.with_name(f'{path.name}.damaged'))
        (self.path / 'last_checkpoint').unlink(missing_ok=True)

    def update(self, **values: Any) -> None:
        """Change some entries of the state.

        Args:
            **values: JSON-able values.
        """
        write_text(self._state_path, json.dumps({**self.state, **values}, indent=1))

    def check(self, cfg: Config, origin: Mapping[str, Any]) -> None:
        """Refuse to resume a run that was begun with other settings or data.

        The data are compared only if there is a checkpoint. Without one the run starts
        from the beginning, with the current data.

        Args:
            cfg: Config of the run.
            origin: Inputs of the run that the config does not contain, by name.

        Raises:
            ProtocolError: Settings or data differ; names the differences.
        """
        begun = self.state.get('settings')
        settings = plain(cfg.to_dict(), LOCATION_KEYS)
        if begun is not None and begun != settings:
            keys = differing_keys(begun, settings)
            raise ProtocolError(
                f'{self.path} was started with other settings; these differ: '
                f'{", ".join(keys[:8])}{" ..." if len(keys) > 8 else ""}. Choose '
                'another output folder or another name for the method.'
            )
        if not (self.state.get('checkpoint') or self.has_checkpoint()):
            return
        # Runs of older versions have not noted it.
        noted = self.state.get('origin') or {}
        differing = [
            f'{name} ({noted[name]}, now {value})'
            for name, value in origin.items()
            if noted.get(name, value) != value
        ]
        if differing:
            raise ProtocolError(
                f'{self.path} was started with another '
                f'{" and another ".join(differing)}: choose another output folder or '
                'another name for the method, or remove this folder to start the run '
                'from the beginning.'
            )

    def prepare(self, cfg: Config, origin: Mapping[str, Any]) -> None:
        """Write the run's config and note its settings.

        Args:
            cfg: Config of the run.
            origin: See :meth:`check`.
        """
        self.check(cfg, origin)
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.config_path) as temporary:
            place_run(cfg, self.path).dump(temporary)
        if 'settings' not in self.state:
            self.update(
                settings=plain(cfg.to_dict(), LOCATION_KEYS),
                config_hash=config_hash(cfg.to_dict()),
                attempts=[],
            )
        self.update(origin=dict(origin))

    @contextmanager
    def attempt(self, stage: str) -> Iterator[Path]:
        """Record start and end of one attempt at a stage, even if it is killed.

        Args:
            stage: ``'train'`` or ``'test'``.

        Yields:
            Path of the log to append to.
        """
        log = self.path / f'{stage}.log'
        attempts = self._closed_attempts()
        now = time.time()
        attempts.append({'stage': stage, 'started': now, 'ended': None})
        self.update(attempts=attempts)
        try:
            yield log
        finally:
            attempts[-1]['ended'] = max(time.time(), now)
            self.update(attempts=attempts)

    def _closed_attempts(self) -> list[dict]:
        """Attempts so far; a killed one ended when its log was last written."""
        attempts = self.state.get('attempts', [])
        for attempt in attempts:
            if attempt['ended'] is None:
                log = self.path / f'{attempt["stage"]}.log'
                written = log.stat().st_mtime if log.exists() else 0.0
                attempt['ended'] = max(written, attempt['started'])
        return attempts

    @property
    def duration_s(self) -> float:
        """Seconds of all attempts together."""
        return sum(a['ended'] - a['started'] for a in self._closed_attempts())

    def _checkpoints(self) -> list[tuple[int, Path]]:
        """Checkpoints sorted by step, including any that a kill left incomplete."""
        found = []
        for path in self.path.glob('*.pth'):
            match = re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', path.name)
            if match:
                found.append((int(match[1]), path))
        return sorted(found)

    def latest_step(self) -> str:
        """Name of the latest checkpoint for resuming; '' for none."""
        found = self._checkpoints()
        return found[-1][1].stem if found else ''

    def drop_resume_points(self) -> None:
        """Remove the checkpoints that only resuming needs; the chosen one stays."""
        for _, path in self._checkpoints():
            path.unlink()
        (self.path / 'last_checkpoint').unlink(missing_ok=True)

    def has_checkpoint(self) -> bool:
        """Whether an earlier attempt left a checkpoint.

        The training's ``AtomicCheckpointHook`` decides which one is resumed.
        """
        return bool(self._checkpoints())

    def training_fraction(self, cfg: Config, iters_per_epoch: int) -> float:
        """Share of the training that is done, from checkpoints and logs.

        Args:
            cfg: Config of the run.
            iters_per_epoch: Training iterations in an epoch.
        """
        unit = iters_per_epoch if 'max_epochs' in cfg.train_cfg else 1
        done = max((step * unit for step, _ in self._checkpoints()), default=0)
        for path in self.path.glob('*/vis_data/scalars.json'):
            # Logs are long and this is called often: read only the end.
            if not path.is_file():
                continue
            with open(path, 'rb') as file:
                file.seek(max(0, path.stat().st_size - 4096))
                lines = file.read().splitlines()
            for line in lines:
                try:
                    done = max(done, int(parse_json(line)['iter']))
                except (ValueError, TypeError, KeyError, OverflowError):
                    continue
        length = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.max_iters
        return min(done / (length * unit), 1.0)

    def best_checkpoint(self) -> Path:
        """The checkpoint that the validation chose.

        Raises:
            ProtocolError: There is none.
        """
        found = [path for path in self.path.glob('best_*.pth') if is_whole(path)]
        if not found:
            raise ProtocolError(
                f'the training left no complete best_*.pth in {self.path}: check that '
                'it validated, and that the scores are defined.'
            )
        # A kill while a new best checkpoint replaces the old can leave both; the later
        # one is better.
        return max(found, key=lambda path: path.stat().st_mtime)
