"""Prepares the runs of a plan: configs, hashes, budgets."""

from __future__ import annotations

import copy
import functools
import math
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcdrl_common.image_index import ImageIndexError
from mcdrl_common.model_settings import model_hash
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.installed_versions import installed_versions

from .folds import (
    DataPlaces,
    datasets,
    derive_fold,
    image_groups,
    run_budget,
    site_names,
    sites_left_out,
)
from .hashing import config_hash, data_hash
from .plan import Method, PlannedRun
from .records import RunRecord, unlike
from .run_folder import RunFolder

if TYPE_CHECKING:
    from mmengine.config import Config


_HELD_OUT = 'MCDRL_HELD_OUT'
_GROUPS = 'hash of sequences and patients'
_KEPT = 'kept_features'


@dataclass(frozen=True)
class PreparedRun:
    """A planned run with everything in its record except the results.

    Args:
        run: The planned run.
        cfg: Its config.
        config_hash: Hash of the config.
        data_hash: Hash of all sites' files.
        budget: Its budget, see :func:`~mcdrl_lab.plans.folds.run_budget`.
        method_hash: Hash of the settings that all runs of the method share.
        groups_hash: Hash of the images' sequences and patients.
        files_hash: Hash of the files that the run's own config names. With stock data
            sets these may be fewer than the files of all sites. Empty is not compared.
        model_hash: Hash of the network's settings.
    """

    run: PlannedRun
    cfg: Config
    config_hash: str
    data_hash: str
    budget: dict[str, Any]
    method_hash: str = ''
    groups_hash: str = ''
    files_hash: str = ''
    model_hash: str = ''

    @property
    def iters_per_epoch(self) -> int:
        """Training iterations in an epoch."""
        return math.ceil(self.budget['train_images'] / self.budget['batch_size'])

    @property
    def origin(self) -> dict[str, Any]:
        """Inputs of the run that its config does not contain, by name."""
        return {
            'data hash': self.data_hash,
            'batch size over all processes': self.budget['batch_size'],
            'precision of kept features': self.budget.get(_KEPT, 'float32'),
            _GROUPS: self.groups_hash,
        }

    def record(self, **values: Any) -> RunRecord:
        """Make the run's record.

        Args:
            **values: The results of the run.
        """
        method, held_out, seed, selection = self.run.key
        return RunRecord(
            method=method,
            config=self.run.method.config,
            config_hash=self.config_hash,
            held_out=held_out,
            seed=seed,
            selection=selection,
            budget=self.budget,
            data_hash=self.data_hash,
            method_hash=self.method_hash,
            model_hash=self.model_hash,
            versions=installed_versions(),
            **values,
        )

    def check_data(self) -> None:
        """Refuse to start if the data changed since the plan was made.

        A run may wait for days, in a queue or for other runs. Its record has the hashes
        of the earlier data.

        Raises:
            ProtocolError: The data changed; says what.
        """
        if not self.files_hash:
            return
        changed = []
        if data_hash(DataPlaces.of(self.cfg).files()) != self.files_hash:
            changed.append('the files of its sites')
        if _groups_hash(self.cfg, self.run.method.name) != self.groups_hash:
            changed.append('the sequences or patients in index.csv')
        if changed:
            raise ProtocolError(
                f'{" and ".join(changed)} changed since the plan was made: restore the '
                'earlier ones, or start the plan again with another output folder.'
            )

    def check_record(self, record: RunRecord) -> None:
        """Refuse a finished run with the same name but other settings or data.

        Args:
            record: The finished run's record.

        Raises:
            ProtocolError: They differ; says in what.
        """
        for what, new, old in (
            ('settings', self.config_hash, record.config_hash),
            ('data', self.data_hash, record.data_hash),
        ):
            if new != old:
                raise ProtocolError(
                    f'{self.run} is already recorded with other {what} (hash '
                    f'{old[:12]}, now {new[:12]}): choose another output folder or '
                    'another name for the method.'
                )


def check_siblings(items: Sequence[PreparedRun], records: Iterable[RunRecord]) -> None:
    """Refuse to add runs to a method whose finished runs had other settings or data.

    Tables average over all runs of a method's name.

    Args:
        items: Runs to carry out.
        records: Records in the plan's folder.

    Raises:
        ProtocolError: They differ; names both runs and the difference.
    """
    finished = [record for record in records if record.status == 'done']
    checked: set[tuple[str, str]] = set()
    for item in items:
        name, _, _, selection = item.run.key
        if (name, selection) in checked:
            continue
        checked.add((name, selection))
        siblings = [r for r in finished if (r.method, r.selection) == (name, selection)]
        if not siblings:
            continue
        own = item.record()
        for record in siblings:
            differing = unlike(record, own)
            if differing:
                raise ProtocolError(
                    f'{item.run} cannot join the finished runs of {name}: '
                    f'{record.folder} differs in {", ".join(differing)}. Choose '
                    'another output folder or another name for the method.'
                )


def check_groups(
    items: Sequence[PreparedRun], records: Iterable[RunRecord], out: Path
) -> None:
    """Refuse runs whose data are split by other sequences or patients than before.

    The folders of the finished runs note their sequences and patients. Runs without a
    folder or without this note, as of older versions, are not checked.

    Args:
        items: Runs to carry out.
        records: Records in the plan's folder.
        out: The plan's folder.

    Raises:
        ProtocolError: The splits differ; names both runs.
    """
    noted = noted_groups(records, out)
    for item in items:
        run, groups = noted.get(item.data_hash, ('', item.groups_hash))
        if groups != item.groups_hash:
            raise ProtocolError(
                f'{item.run} cannot join the finished runs: {run} used the same files, '
                'but index.csv then listed other sequences or patients, so that it '
                'was trained and validated on other images. Choose another output '
                'folder.'
            )


def noted_groups(records: Iterable[RunRecord], out: Path) -> dict[str, tuple[str, str]]:
    """Sequences and patients that determined the splits of finished runs.

    Args:
        records: Records in a plan's folder.
        out: The plan's folder. Runs whose folder is missing, or without this note, as
            of older versions, are left out.

    Returns:
        Hash of the files -> run, hash of the sequences and patients.
    """
    return {
        record.data_hash: (record.folder, origin[_GROUPS])
        for record in records
        if record.status == 'done'
        and (origin := RunFolder(out / record.folder).state.get('origin'))
        and _GROUPS in origin
    }


def load_method(method: Method) -> Config:
    """Load a method's config with its changes merged in.

    Args:
        method: The method.

    Raises:
        ProtocolError: The config or a change in it is not valid.
    """
    from mmengine.config import Config

    from .child_process import environment_variables

    # Ignore a held-out site that the shell sets for single trainings, perhaps of
    # another data set: all folds are derived here.
    plain = {name: value for name, value in os.environ.items() if name != _HELD_OUT}
    try:
        try:
            with environment_variables(plain):
                cfg = Config.fromfile(method.config)
        except KeyError:
            # The config has no default for the variable.
            cfg = Config.fromfile(method.config)
        cfg.merge_from_dict(copy.deepcopy(dict(method.cfg_options)))
    except Exception as error:
        # A config is a program and may raise any error.
        reason = ' '.join(str(error).split())
        raise ProtocolError(
            f'{method.name}: {method.config} cannot be loaded: '
            f'{type(error).__name__}: {reason}'
        ) from error
    return cfg


def _count_images(dataset: Any) -> int:
    """Number of training images, by building the dataset without its pipeline."""
    from mmengine.registry import DefaultScope
    from mmseg.registry import DATASETS

    dataset = copy.deepcopy(dataset)
    for part in datasets(dataset):
        if 'pipeline' in part:
            part['pipeline'] = []
    # MMEngine's wrappers look up the wrapped dataset in the default scope.
    with DefaultScope.overwrite_default_scope('mmseg'):
        return len(DATASETS.build(dataset))


def _kept_features() -> dict[str, str]:
    """Budget entry for the precision of cached features; empty for float32."""
    from mcdrl_mmseg.models.backbones.feature_cache import FeatureCache

    try:
        cache = FeatureCache.from_environment()
    except ValueError as error:
        raise ProtocolError(str(error)) from error
    return {_KEPT: 'float16'} if cache is not None and cache.half else {}


def _method_hash(cfg: Config) -> str:
    """Hash of a method's settings, the same for every fold's config."""
    for site in site_names(cfg):
        try:
            return config_hash(derive_fold(cfg, site).to_dict())
        except ProtocolError:
            # The loaders lack this site; try the next one.
            continue
    return ''


def _groups_hash(cfg: Config, method: str) -> str:
    """Hash of the images' sequences and patients; empty if none is known."""
    try:
        rows = image_groups(cfg)
    except ImageIndexError as error:
        raise ProtocolError(f'{method}: {error}') from error
    return config_hash({'groups': rows}, frozenset())[:12] if rows else ''


def _warn_of_sites_left_out(cfg: Config, method: str) -> None:
    left_out = sites_left_out(cfg) if cfg.get('train_dataloader') else []
    if left_out:
        warnings.warn(
            f'{method}: no run is trained on these sites of train_dataloader: '
            f'{", ".join(left_out)}. List the sites to hold out in `sites`, and those '
            'for training only in `training_only_sites`.',
            stacklevel=2,
        )


def prepare(runs: Sequence[PlannedRun], processes: int = 1) -> list[PreparedRun]:
    """Derive every run's config, and determine its data and budget.

    Args:
        runs: The plan.
        processes: Number of processes of each training.

    Raises:
        ProtocolError: A config or its data are not usable.
    """
    from mcdrl_mmseg.engine.config_check import ConfigCheckError, check_config
    from mcdrl_mmseg.engine.insertion import with_mcdrl

    configs: dict[str, Config] = {}
    counts: dict[str, int] = {}
    hash_of = functools.cache(lambda places: data_hash(places.files()))
    method_hashes: dict[str, str] = {}
    groups: dict[str, str] = {}
    model_hashes: dict[tuple[str, str], str] = {}
    kept = _kept_features()
    prepared = []
    for run in runs:
        name = run.method.name
        if name not in configs:
            configs[name] = load_method(run.method)
            _warn_of_sites_left_out(configs[name], name)
        cfg = derive_fold(configs[name], run.held_out, run.seed, run.selection)
        fold = name, run.held_out
        if fold not in model_hashes:
            try:
                check_config(cfg)
            except ConfigCheckError as error:
                raise ProtocolError(f'{run}: {error}') from error
            # The hash that the checkpoint will have.
            model_hashes[fold] = model_hash(with_mcdrl(cfg).get('model') or {})
        train = cfg.train_dataloader.dataset
        key = config_hash({'train': train}, frozenset())
        if key not in counts:
            try:
                counts[key] = _count_images(train)
            except (ValueError, OSError, KeyError) as error:
                raise ProtocolError(f'{run}: {error}') from error
        hashes = [hash_of(DataPlaces.of(each)) for each in (configs[name], cfg)]
        if name not in method_hashes:
            method_hashes[name] = _method_hash(configs[name])
            groups[name] = _groups_hash(configs[name], name)
        prepared.append(
            PreparedRun(
                run=run,
                cfg=cfg,
                config_hash=config_hash(cfg.to_dict()),
                data_hash=hashes[0],
                budget=run_budget(cfg, counts[key], processes) | kept,
                method_hash=method_hashes[name],
                groups_hash=groups[name],
                files_hash=hashes[1],
                model_hash=model_hashes[fold],
            )
        )
    return prepared
