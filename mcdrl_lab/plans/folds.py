"""The folds of leave-one-site-out: derives each run's config from one config."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcdrl_common.config_datasets import LOADERS, datasets, evaluators
from mcdrl_common.image_index import INDEX_FILE, ImageIndex
from mcdrl_common.site_scores import HEADLINE
from mcdrl_lab.errors import ProtocolError

from .folder_names import check_name
from .hashing import list_files
from .records import SELECTIONS

if TYPE_CHECKING:
    from mmengine.config import Config

SITE_DATASET = 'EndoscopySiteDataset'
SITE_METRIC = 'SiteLesionMetric'
RECORDS_FILE = 'test_records.json'
# Config keys that list the parts of all sites, for a config of a single fold.
PARTS = {
    'train_dataloader': 'training_parts',
    'val_dataloader': 'validation_parts',
    'test_dataloader': 'test_parts',
}


def _site_of(dataset: Mapping) -> str | None:
    """Site that a part of a concatenated dataset belongs to."""
    return (dataset.get('metainfo') or {}).get('site') or dataset.get('site')


def site_names(cfg: Mapping[str, Any]) -> list[str]:
    """Names of all sites of an experiment.

    Args:
        cfg: Experiment config, with the site entries in ``sites``, or with every
            site as one part of a concatenated training set that names its ``site``.

    Returns:
        Names in the config's order.

    Raises:
        ProtocolError: Fewer than two sites, or two with the same name.
    """
    entries = cfg.get('sites')
    if entries:
        names = list(map(_name_of, entries))
    else:
        parts = datasets(cfg.get('train_dataloader', {}).get('dataset'))
        names = [name for name in map(_site_of, parts) if name]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProtocolError(
            f'the config lists these sites more than once: {twice}. List each site '
            'once.'
        )
    if len(names) < 2:
        raise ProtocolError(
            'leaving one site out needs at least two sites: list them in the config '
            'as sites=[dict(name=..., lesion_classes=(...,)), ...], or give every '
            'part of a ConcatDataset its site=... in metainfo.'
        )
    return [check_name('site', name) for name in names]


def _name_of(site: str | Mapping) -> str:
    return site if isinstance(site, str) else site['name']


def _parts_of_all_sites(
    parts: Sequence[Mapping], listed: Sequence[Mapping]
) -> list[Mapping]:
    """A loader's parts plus the listed parts of its missing sites, in listed order."""
    own = set(map(_site_of, parts))
    order = [*dict.fromkeys(map(_site_of, listed)), *own]
    return sorted(
        [*parts, *(part for part in listed if _site_of(part) not in own)],
        key=lambda part: order.index(_site_of(part)) if listed else 0,
    )


def _keep_sites(cfg: Config, loader: str, names: Sequence[str]) -> None:
    """Reduce a loader's dataset to the named sites, in place.

    Sites of ``training_only_sites`` stay in the training and validation loaders. All
    other sites are removed; a base config may have left some.
    """
    _refuse_shared_out(cfg, loader)
    found, only = False, set()
    # Without a held-out site, a config tests on the validation part of all sites.
    tests_a_part = loader == 'test_dataloader' and not cfg.get('held_out_site')
    if loader != 'test_dataloader':
        only = set(map(_name_of, cfg.get('training_only_sites') or ()))
    for dataset in datasets(cfg[loader]['dataset']):
        if dataset.get('type') == SITE_DATASET:
            others = dataset.get('sites') or []
            dataset['sites'] = [
                *(site for site in cfg['sites'] if _name_of(site) in names),
                *(site for site in others if _name_of(site) in only),
            ]
            if tests_a_part and dataset.get('split') == 'val':
                dataset['split'] = 'all'
            found = True
        parts = dataset.get('datasets')
        if parts and any(map(_site_of, parts)):
            listed = cfg.get(PARTS[loader]) or ()
            own = () if tests_a_part and listed else parts
            parts = _parts_of_all_sites(own, listed)
            kept = {*names, *only}
            dataset['datasets'] = [part for part in parts if _site_of(part) in kept]
            lacking = sorted(set(names) - set(map(_site_of, parts)))
            if lacking:
                raise ProtocolError(
                    f'{loader} has no dataset of {lacking}. Leaving one site out needs '
                    'all sites, not a single fold: put them into the loader, or list '
                    f'their parts as {PARTS[loader]}.'
                )
            found = True
    if not found:
        raise ProtocolError(
            f'{loader}.dataset: expected {SITE_DATASET}, or a ConcatDataset whose '
            'parts name their site=... in metainfo. The fold cannot be derived '
            'without the sites.'
        )


def _refuse_shared_out(cfg: Config, loader: str) -> None:
    """Refuse several datasets with different sites, as used to repeat a small site.

    Nothing says which dataset the config's held-out site belongs to. Giving every site
    to each dataset would repeat all images.
    """
    shares = {
        tuple(sorted(map(_name_of, dataset.get('sites') or ())))
        for dataset in datasets(cfg[loader]['dataset'])
        if dataset.get('type') == SITE_DATASET
    }
    if len(shares) > 1:
        raise ProtocolError(
            f'{loader} divides its sites among {len(shares)} {SITE_DATASET}s '
            f'({"; ".join(", ".join(share) for share in sorted(shares))}), so that it '
            'is unknown which of them a held-out site belongs to. Put all sites into '
            'one.'
        )


def sites_left_out(cfg: Config) -> list[str]:
    """Sites of the training loader that no fold trains on or holds out.

    Args:
        cfg: Experiment config, before :func:`derive_fold`.

    Returns:
        The sites that are in neither ``sites`` nor ``training_only_sites``.
    """
    known = site_names(cfg)
    known += map(_name_of, cfg.get('training_only_sites') or ())
    found: list[str] = []
    for dataset in datasets(cfg.train_dataloader.dataset):
        found += map(_name_of, dataset.get('sites') or ())
        found += filter(None, map(_site_of, dataset.get('datasets') or ()))
    return sorted(set(found) - set(known))


def _site_metric(cfg: Config, key: str) -> dict:
    for metric in evaluators(cfg.get(key)):
        if metric.get('type') == SITE_METRIC:
            return metric
    raise ProtocolError(
        f'{key} holds no {SITE_METRIC}, which writes the per-image records: add '
        f"dict(type='{SITE_METRIC}')."
    )


def derive_fold(
    config: Config,
    held_out: str,
    seed: int = 0,
    selection: str = 'validation',
) -> Config:
    """Derive the config of one run from the held-out site and the seed.

    Training and validation use all sites but the held-out one, the test uses only that
    one. Sites in ``training_only_sites``, such as healthy images of another hospital,
    are never held out and always trained on. The checkpoint is chosen by the
    validation's ``mDice_fg``, unless ``save_best`` names another metric.

    Args:
        config: Experiment config of any fold; not modified.
        held_out: Name of the site to hold out.
        seed: Random seed of the run.
        selection: ``'validation'`` chooses the checkpoint on the training sites'
            validation split; ``'oracle'`` on the held-out site itself.

    Returns:
        A new config.

    Raises:
        ProtocolError: The site or selection is unknown, or the config lacks an entry
            that a fold needs.
    """
    from mmengine.config import Config

    if selection not in SELECTIONS:
        raise ProtocolError(
            f'selection={selection!r} is not one of {list(SELECTIONS)}.'
        )
    cfg = Config(config.to_dict())
    names = site_names(cfg)
    if held_out not in names:
        raise ProtocolError(f'no site {held_out!r}; the config has {names}.')
    missing = [loader for loader in LOADERS if not cfg.get(loader)]
    if missing:
        raise ProtocolError(f'the config lacks {", ".join(missing)}.')
    others = [name for name in names if name != held_out]
    for loader, sites in zip(LOADERS, (others, others, [held_out])):
        _keep_sites(cfg, loader, sites)
    if selection == 'oracle':
        cfg.val_dataloader = Config(dict(loader=cfg.test_dataloader.to_dict())).loader
    cfg.held_out_site = held_out
    # A helper variable of single-fold configs; it would list the wrong sites here.
    cfg.pop('training_sites', None)
    cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': seed}
    _site_metric(cfg, 'test_evaluator')
    checkpoint = cfg.setdefault('default_hooks', {}).setdefault(
        'checkpoint', dict(type='CheckpointHook')
    )
    if checkpoint.get('out_dir'):
        raise ProtocolError(
            f'default_hooks.checkpoint.out_dir={checkpoint["out_dir"]!r}: a plan keeps '
            "each run's checkpoints in the run's folder. Remove out_dir."
        )
    if not checkpoint.get('save_best'):
        _site_metric(cfg, 'val_evaluator')
        checkpoint['save_best'], checkpoint['rule'] = HEADLINE, 'greater'
    elif not isinstance(checkpoint['save_best'], str):
        raise ProtocolError(
            f'default_hooks.checkpoint.save_best={checkpoint["save_best"]!r} must be '
            'one name: a run is tested with one checkpoint.'
        )
    # Keep one more: a kill can damage the checkpoint that is being written.
    if checkpoint.get('max_keep_ckpts', -1) in (-1, 1):
        checkpoint['max_keep_ckpts'] = 2
    return cfg


def place_run(cfg: Config, work_dir: str | os.PathLike) -> Config:
    """Set where a derived run writes its files. This does not affect the training.

    Args:
        cfg: From :func:`derive_fold`; not modified.
        work_dir: The run's folder.

    Returns:
        A new config. Its test writes per-image records into the folder, and its
        checkpoints are written atomically.
    """
    from mmengine.config import Config

    # Unformatted: formatting the config with yapf takes ten times as long.
    cfg = Config(cfg.to_dict(), format_python_code=False)
    cfg.work_dir = str(work_dir)
    # A run may be killed at any time. This hook decides which checkpoint is resumed.
    checkpoint = cfg.default_hooks.checkpoint
    if checkpoint.get('type') == 'CheckpointHook':
        checkpoint.type = 'AtomicCheckpointHook'
    metric = _site_metric(cfg, 'test_evaluator')
    metric['records_path'] = str(Path(work_dir) / RECORDS_FILE)
    return cfg


def _image_size(cfg: Config) -> list[int] | None:
    """Height and width of a training image; None if the config does not give it."""
    size = (cfg.model.get('data_preprocessor') or {}).get('size') or cfg.get(
        'crop_size'
    )
    if size is None:
        for dataset in datasets(cfg.train_dataloader.dataset):
            for step in dataset.get('pipeline') or ():
                if step.get('crop_size') or step.get('scale'):
                    # Resize scales are (width, height).
                    size = step.get('crop_size') or step['scale'][::-1]
    return None if size is None else list(size)


def _site_folder(site: str | Mapping) -> str:
    return site if isinstance(site, str) else site.get('folder') or site['name']


def run_budget(cfg: Config, train_images: int, processes: int = 1) -> dict[str, Any]:
    """The budget of a run; only runs with equal budgets are compared.

    Args:
        cfg: Config of the run.
        train_images: Number of training images.
        processes: Number of processes of the training.

    Returns:
        ``epochs`` or ``iters``, ``batch_size`` (over all processes), ``image_size``
        [height, width], ``train_images``.
    """
    train = cfg.train_cfg
    key = 'epochs' if 'max_epochs' in train else 'iters'
    return {
        key: train[f'max_{key}'],
        'batch_size': cfg.train_dataloader.batch_size * processes,
        'image_size': _image_size(cfg),
        'train_images': train_images,
    }


@dataclass(frozen=True)
class DataPlaces:
    """Locations of a run's data, as pairs of a root and a path below it.

    Args:
        folders: Folders of images and masks.
        lists: Annotation files that list images.
    """

    folders: frozenset[tuple[str, str]]
    lists: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, cfg: Config) -> DataPlaces:
        """Locations of the data that a config names.

        For an ``EndoscopySiteDataset`` these are all sites, whatever the fold.

        Args:
            cfg: Config of the run.
        """
        folders: set[tuple[str, str]] = set()
        lists: set[tuple[str, str]] = set()
        for loader in LOADERS:
            for dataset in datasets(cfg[loader]['dataset']):
                root = dataset.get('data_root') or ''
                if dataset.get('type') == SITE_DATASET:
                    sites = [*cfg['sites'], *(cfg.get('training_only_sites') or ())]
                    folders |= {(root, _site_folder(site)) for site in sites}
                else:
                    prefix = dataset.get('data_prefix') or {}
                    folders |= {_below(root, name) for name in prefix.values() if name}
                    listed = dataset.get('ann_file')
                    if listed and isinstance(listed, str):
                        lists.add(_below(root, listed))
        return cls(frozenset(folders), frozenset(lists))

    def files(self) -> list[tuple[str, int]]:
        """List all files in the folders, and the annotation files, without opening any.

        Returns:
            Pairs of a name and a size in bytes. The name is relative to the data root;
            without one, to the parent folder. Files in different roots are separate
            entries, even if their names are equal.

        Raises:
            ProtocolError: A folder has no file; names the folder.
        """
        # Keyed by the real path of the root: another spelling or a link is the same.
        files: dict[tuple[str, str], int] = {}
        for root, name in self.lists:
            path = Path(root, name).expanduser()
            # A missing list is reported later, when the images are counted.
            if path.is_file():
                files[_true_root(root), name] = path.stat().st_size
        for root, folder in sorted(self.folders):
            found = list_files(Path(root).expanduser(), [folder])
            if not found:
                raise ProtocolError(
                    f'no files in {Path(root) / folder}: check data_root in the config.'
                )
            files |= {(_true_root(root), name): size for name, size in found}
        return sorted((name, size) for (_, name), size in files.items())


def image_groups(cfg: Config) -> list[tuple[str, ...]]:
    """Sequences and patients of the images, which determine how sites are split.

    Args:
        cfg: Config of the run.

    Returns:
        Site, image, sequence and patient of each image with a sequence or patient in
        the ``index.csv`` beside the sites.
    """
    roots = {
        dataset.get('data_root') or '.'
        for loader in LOADERS
        for dataset in datasets(cfg[loader]['dataset'])
        if dataset.get('type') == SITE_DATASET
    }
    sites = [*(cfg.get('sites') or ()), *(cfg.get('training_only_sites') or ())]
    names = {name for site in sites for name in (_name_of(site), _site_folder(site))}
    rows = {
        (row.site, row.image, row.sequence, row.patient)
        for root in roots
        for row in ImageIndex.read(Path(root).expanduser() / INDEX_FILE).rows
        if row.site in names and (row.sequence or row.patient)
    }
    return sorted(rows)


def _true_root(root: str) -> str:
    return os.path.realpath(os.path.expanduser(root))


def _below(root: str, name: str) -> tuple[str, str]:
    """Split a path into root and rest; outside the root, into parent and name."""
    path = Path(root, name)
    if root and path.is_relative_to(root):
        return root, str(path.relative_to(root))
    return str(path.parent), path.name
