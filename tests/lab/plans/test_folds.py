import copy
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.folds import (
    DataPlaces,
    datasets,
    derive_fold,
    place_run,
    run_budget,
    site_names,
    sites_left_out,
)
from mcdrl_lab.plans.hashing import config_hash

SITES = [
    {'name': 'x', 'lesion_classes': ['polyp']},
    {'name': 'y', 'lesion_classes': ['cyst']},
    {'name': 'z', 'lesion_classes': ['polyp']},
]


def loader(split, sites, **values):
    return {
        'batch_size': 4,
        'dataset': {
            'type': 'EndoscopySiteDataset',
            'data_root': 'data',
            'sites': sites,
            'split': split,
            'pipeline': [],
        },
        **values,
    }


@pytest.fixture
def cfg():
    return Config(
        {
            'sites': SITES,
            'held_out_site': 'x',
            'model': {'type': 'M'},
            'train_dataloader': loader('train', SITES[1:]),
            'val_dataloader': loader('val', SITES[1:]),
            'test_dataloader': loader('all', SITES[:1]),
            'val_evaluator': {'type': 'SiteLesionMetric', 'surface': False},
            'test_evaluator': [{'type': 'IoUMetric'}, {'type': 'SiteLesionMetric'}],
            'train_cfg': {'max_epochs': 3, 'val_interval': 1},
            'default_hooks': {'checkpoint': {'type': 'CheckpointHook', 'interval': 1}},
        }
    )


def names(cfg, loader):
    return [site['name'] for site in cfg[loader].dataset.sites]


@pytest.mark.parametrize('held_out', ['x', 'y', 'z'])
def test_the_held_out_site_is_in_the_test_set_only(cfg, held_out):
    fold = derive_fold(cfg, held_out)
    others = [name for name in 'xyz' if name != held_out]
    assert names(fold, 'train_dataloader') == others
    assert names(fold, 'val_dataloader') == others
    assert names(fold, 'test_dataloader') == [held_out]
    assert fold.held_out_site == held_out


def test_a_fold_keeps_the_splits_of_the_config(cfg):
    fold = derive_fold(cfg, 'y')
    splits = [
        fold[f'{part}_dataloader'].dataset.split for part in ('train', 'val', 'test')
    ]
    assert splits == ['train', 'val', 'all']
    cfg.test_dataloader.dataset.split = 'val'
    assert derive_fold(cfg, 'y').test_dataloader.dataset.split == 'val'


def test_folds_of_a_config_without_a_held_out_site_test_whole_sites(cfg):
    cfg.pop('held_out_site')
    cfg.test_dataloader.dataset.split = 'val'
    fold = derive_fold(cfg, 'y')
    assert fold.test_dataloader.dataset.split == 'all'
    assert fold.val_dataloader.dataset.split == 'val'
    assert fold.test_dataloader.dataset.sites[0].lesion_classes == ['cyst']


def test_deriving_a_fold_leaves_the_config_unchanged(cfg):
    before = copy.deepcopy(cfg.to_dict())
    place_run(derive_fold(cfg, 'y', 3, 'oracle'), 'out')
    assert cfg.to_dict() == before


def test_a_fold_derived_from_another_fold_is_the_same(cfg):
    other = derive_fold(cfg, 'z')
    assert config_hash(derive_fold(other, 'y').to_dict()) == config_hash(
        derive_fold(cfg, 'y').to_dict()
    )


def test_a_config_gives_the_same_folds_whichever_site_it_holds_out(monkeypatch):
    root = Path(__file__).resolve().parents[3] / 'configs/mcdrl'
    hashes = set()
    for site in ('polypgen_c1', 'polypgen_c2', 'vocalfolds_larynx'):
        monkeypatch.setenv('MCDRL_HELD_OUT', site)
        name = 'mcdrl_clip-rn50_fcn_50e_endoscopy-sites-224x224.py'
        cfg = Config.fromfile(root / name)
        hashes.add(config_hash(derive_fold(cfg, 'polypgen_c2').to_dict()))
    assert len(hashes) == 1


def test_the_seed_is_set_and_other_randomness_settings_are_kept(cfg):
    cfg.randomness = {'seed': 9, 'deterministic': True}
    assert derive_fold(cfg, 'x', 4).randomness == {'seed': 4, 'deterministic': True}


def test_the_best_checkpoint_is_chosen_by_foreground_dice_on_the_training_sites(cfg):
    fold = derive_fold(cfg, 'y')
    assert fold.default_hooks.checkpoint.save_best == 'mDice_fg'
    assert fold.default_hooks.checkpoint.rule == 'greater'
    assert 'y' not in names(fold, 'val_dataloader')


def test_oracle_selection_validates_on_the_held_out_site(cfg):
    fold = derive_fold(cfg, 'y', selection='oracle')
    assert fold.val_dataloader == fold.test_dataloader
    assert names(fold, 'train_dataloader') == ['x', 'z']


def test_a_save_best_metric_of_the_config_is_kept(cfg):
    cfg.default_hooks.checkpoint.save_best = 'mIoU'
    fold = derive_fold(cfg, 'y')
    assert fold.default_hooks.checkpoint.save_best == 'mIoU'
    assert 'rule' not in fold.default_hooks.checkpoint


def test_two_save_best_metrics_are_refused(cfg):
    cfg.default_hooks.checkpoint.save_best = ['mIoU', 'mDice_fg']
    with pytest.raises(ProtocolError, match='must be one name'):
        derive_fold(cfg, 'y')


def test_checkpoints_outside_the_folder_of_the_run_are_refused(cfg):
    cfg.default_hooks.checkpoint.out_dir = 'scratch'
    with pytest.raises(ProtocolError, match="out_dir='scratch': a plan keeps"):
        derive_fold(cfg, 'y')


def test_two_checkpoints_are_kept_unless_the_config_keeps_more(cfg):
    assert derive_fold(cfg, 'y').default_hooks.checkpoint.max_keep_ckpts == 2
    cfg.default_hooks.checkpoint.max_keep_ckpts = 5
    assert derive_fold(cfg, 'y').default_hooks.checkpoint.max_keep_ckpts == 5


def test_placing_a_run_sets_its_work_dir_and_the_records_path_of_its_test(cfg):
    fold = derive_fold(cfg, 'y')
    placed = place_run(fold, 'out/run')
    assert placed.work_dir == 'out/run'
    metric = placed.test_evaluator[1]
    assert metric.records_path == 'out/run/test_records.json'
    assert 'records_path' not in placed.val_evaluator
    assert 'records_path' not in placed.test_evaluator[0]


def test_a_stock_checkpoint_hook_is_replaced_by_the_atomic_one(cfg):
    fold = derive_fold(cfg, 'y')
    assert fold.default_hooks.checkpoint.type == 'CheckpointHook'
    placed = place_run(fold, 'out/run').default_hooks.checkpoint
    assert placed.pop('type') == 'AtomicCheckpointHook'
    assert fold.default_hooks.checkpoint == dict(placed, type='CheckpointHook')


def test_sites_are_set_in_wrapped_and_concatenated_datasets(cfg):
    plain = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = {
        'type': 'RepeatDataset',
        'times': 2,
        'dataset': {'type': 'ConcatDataset', 'datasets': [plain]},
    }
    fold = derive_fold(cfg, 'y')
    inner = list(datasets(fold.train_dataloader.dataset))[-1]
    assert [site.name for site in inner.sites] == ['x', 'z']


def test_sites_divided_among_concatenated_datasets_are_refused(cfg):
    """Each dataset would get all sites of the fold, so that every image is repeated."""
    one, other = (
        dict(cfg.train_dataloader.dataset.to_dict(), sites=[site]) for site in SITES[1:]
    )
    repeated = {'type': 'RepeatDataset', 'times': 3, 'dataset': one}
    cfg.train_dataloader.dataset = {
        'type': 'ConcatDataset',
        'datasets': [repeated, other],
    }
    with pytest.raises(ProtocolError, match=r'train_dataloader divides .* \(y; z\)'):
        derive_fold(cfg, 'y')
    # The same sites in both datasets are not divided.
    cfg.train_dataloader.dataset.datasets[1].sites = SITES[1:]
    cfg.train_dataloader.dataset.datasets[0].dataset.sites = SITES[1:]
    fold = derive_fold(cfg, 'y').train_dataloader.dataset.datasets
    assert [s.name for s in fold[0].dataset.sites] == ['x', 'z']
    assert [s.name for s in fold[1].sites] == ['x', 'z']


def joined(cfg):
    """The same experiment made of stock datasets that name their site."""
    parts = [
        {
            'type': 'BaseSegDataset',
            'data_root': f'data/{site["name"]}',
            'data_prefix': {'img_path': 'images', 'seg_map_path': 'masks'},
            'metainfo': {'site': site['name']},
        }
        for site in SITES
    ]
    cfg = Config({k: v for k, v in cfg.to_dict().items() if k != 'sites'})
    for name in ('train', 'val', 'test'):
        cfg[f'{name}_dataloader'].dataset = {'type': 'ConcatDataset', 'datasets': parts}
    return cfg


def test_sites_may_be_parts_of_a_concatenated_dataset(cfg):
    cfg = joined(cfg)
    assert site_names(cfg) == ['x', 'y', 'z']
    fold = derive_fold(cfg, 'y')
    found = {
        part: [d.metainfo.site for d in fold[f'{part}_dataloader'].dataset.datasets]
        for part in ('train', 'val', 'test')
    }
    assert found == {'train': ['x', 'z'], 'val': ['x', 'z'], 'test': ['y']}


def test_a_training_only_site_stays_in_the_training_set_of_every_fold(cfg):
    healthy = {'name': 'healthy', 'lesion_classes': ['polyp']}
    cfg.training_only_sites = [healthy]
    left_over = {'name': 'left_over', 'lesion_classes': ['polyp']}
    for part in ('train', 'test'):
        cfg[f'{part}_dataloader'].dataset.sites += [healthy, left_over]
    assert site_names(cfg) == ['x', 'y', 'z']
    fold = derive_fold(cfg, 'y')
    assert names(fold, 'train_dataloader') == ['x', 'z', 'healthy']
    assert names(fold, 'val_dataloader') == ['x', 'z']
    assert names(fold, 'test_dataloader') == ['y']
    assert names(derive_fold(fold, 'x'), 'train_dataloader') == ['y', 'z', 'healthy']


def test_sites_missing_from_both_site_lists_are_found(cfg):
    assert sites_left_out(cfg) == []
    cfg.train_dataloader.dataset.sites += [{'name': 'b'}, 'a', {'name': 'alone'}]
    cfg.training_only_sites = ['alone']
    assert sites_left_out(cfg) == ['a', 'b']
    parts = joined(cfg)
    parts.sites = SITES[:2]
    assert sites_left_out(parts) == ['z']


def test_a_training_only_part_of_a_concatenated_dataset_stays_in_every_fold(cfg):
    cfg = joined(cfg)
    cfg.sites = SITES
    healthy = {**cfg.train_dataloader.dataset.datasets[0], 'metainfo': {'site': 'h'}}
    cfg.training_only_sites = [{'name': 'h'}]
    for part in ('train', 'test'):
        cfg[f'{part}_dataloader'].dataset.datasets.append(healthy)
    fold = derive_fold(cfg, 'y')
    found = [
        [d.metainfo.site for d in fold[f'{part}_dataloader'].dataset.datasets]
        for part in ('train', 'val', 'test')
    ]
    assert found == [['x', 'z', 'h'], ['x', 'z'], ['y']]


def test_a_site_without_test_set_is_an_error(cfg):
    cfg = joined(cfg)
    del cfg.test_dataloader.dataset.datasets[1]
    with pytest.raises(
        ProtocolError, match=r"test_dataloader has no dataset of \['y'\]"
    ):
        derive_fold(cfg, 'y')


def test_a_fold_of_concatenated_datasets_cannot_become_another_fold(cfg):
    cfg = joined(cfg)
    cfg.sites = SITES
    fold = derive_fold(cfg, 'y')
    with pytest.raises(ProtocolError, match=r"train_dataloader has no dataset of .'y'"):
        derive_fold(fold, 'x')


def test_folds_of_the_retinal_config_test_all_images_of_one_site():
    root = Path(__file__).resolve().parents[3] / 'configs/mcdrl'
    cfg = Config.fromfile(root / 'mcdrl_unet-s5-d16_fcn_50e_retinal-vessels-512x512.py')
    for held_out in site_names(cfg):
        fold = derive_fold(cfg, held_out)
        tested = [d.metainfo.site for d in fold.test_dataloader.dataset.datasets]
        trained = [d.metainfo.site for d in fold.train_dataloader.dataset.datasets]
        # All its images: those of its training folder and of its validation folder.
        assert tested == [held_out, held_out]
        assert len(trained) == 3
        assert held_out not in trained


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'sites': SITES[:1]}, 'needs at least two sites'),
        ({'sites': [*SITES, SITES[0]]}, r"more than once: \['x'\]"),
        ({'sites': [{'name': '../x'}, *SITES]}, "site '../x' cannot name a folder"),
        ({'val_dataloader': None}, 'lacks val_dataloader'),
        (
            {'test_evaluator': {'type': 'IoUMetric'}},
            'test_evaluator holds no SiteLesion',
        ),
        ({'val_evaluator': {'type': 'IoUMetric'}}, 'val_evaluator holds no SiteLesion'),
        (
            {'train_dataloader': {'dataset': {'type': 'ADE20KDataset'}}},
            'train_dataloader.dataset: expected',
        ),
    ],
)
def test_a_config_that_lacks_what_a_fold_needs_is_refused(cfg, change, message):
    values = {**cfg.to_dict(), **change}
    with pytest.raises(ProtocolError, match=message):
        derive_fold(Config(values), 'y')


def test_an_unknown_site_or_selection_is_refused(cfg):
    with pytest.raises(ProtocolError, match=r"no site 'w'; the config has \['x', 'y'"):
        derive_fold(cfg, 'w')
    with pytest.raises(ProtocolError, match="selection='best'"):
        derive_fold(cfg, 'x', selection='best')


def test_the_budget_records_training_length_batch_size_and_image_size_and_count(cfg):
    cfg.train_dataloader.dataset.pipeline = [
        {'type': 'Resize', 'scale': (320, 240)},
        {'type': 'PackSegInputs'},
    ]
    assert run_budget(cfg, 50, processes=2) == {
        'epochs': 3,
        'batch_size': 8,
        'image_size': [240, 320],
        'train_images': 50,
    }
    cfg.train_cfg = {'max_iters': 70}
    cfg.model.data_preprocessor = {'size': (64, 96)}
    budget = run_budget(cfg, 50)
    assert budget['iters'] == 70
    assert budget['image_size'] == [64, 96]


def test_files_of_all_sites_are_listed_including_the_held_out_one(cfg, tmp_path):
    for name in 'xyz':
        (tmp_path / name / 'images').mkdir(parents=True)
        (tmp_path / name / 'images' / '1.jpg').write_bytes(b'12')
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.data_root = str(tmp_path)
    expected = [(f'{name}/images/1.jpg', 2) for name in 'xyz']
    assert DataPlaces.of(derive_fold(cfg, 'y')).files() == expected
    alone = derive_fold(cfg, 'y')
    alone.training_only_sites = ['healthy']
    (tmp_path / 'healthy').mkdir()
    (tmp_path / 'healthy/2.jpg').write_bytes(b'1')
    assert DataPlaces.of(alone).files() == [('healthy/2.jpg', 1), *expected]
    (tmp_path / 'y' / 'images' / '1.jpg').unlink()
    with pytest.raises(ProtocolError, match=r'no files in .*y: check data_root'):
        DataPlaces.of(cfg).files()


def test_the_files_of_stock_datasets_are_listed(cfg, tmp_path):
    cfg = joined(cfg)
    for part in cfg.train_dataloader.dataset.datasets:
        part.data_root = str(tmp_path / part.metainfo.site)
        for folder in ('images', 'masks'):
            path = tmp_path / part.metainfo.site / folder
            path.mkdir(parents=True)
            (path / f'{part.metainfo.site}.png').write_bytes(b'1')
    cfg.val_dataloader.dataset = cfg.test_dataloader.dataset = (
        cfg.train_dataloader.dataset
    )
    assert len(DataPlaces.of(cfg).files()) == 6


def stock_parts(cfg, folder, **values):
    """Sites of one image each, as stock datasets without a data root."""
    cfg = joined(cfg)
    for part in cfg.train_dataloader.dataset.datasets:
        site = part.metainfo.site
        for kind in ('images', 'masks'):
            (folder / site / kind).mkdir(parents=True, exist_ok=True)
            (folder / site / kind / '1.png').write_bytes(b'1' * len(kind))
        part.data_root = None
        part.data_prefix = dict(
            img_path=str(folder / site / 'images'),
            seg_map_path=str(folder / site / 'masks'),
        )
        part.update(values)
    cfg.val_dataloader.dataset = cfg.test_dataloader.dataset = (
        cfg.train_dataloader.dataset
    )
    return cfg


def test_files_of_datasets_without_a_data_root_are_listed(cfg, tmp_path):
    found = DataPlaces.of(stock_parts(cfg, tmp_path / 'here')).files()
    assert {('images/1.png', 6), ('masks/1.png', 5)} <= set(found)
    elsewhere = stock_parts(cfg, tmp_path / 'there')
    assert DataPlaces.of(elsewhere).files() == found
    (tmp_path / 'there/x/images/2.png').write_bytes(b'22')
    assert DataPlaces.of(elsewhere).files() == sorted([*found, ('images/2.png', 2)])


def test_equal_files_count_once_for_each_root_however_the_root_is_written(
    cfg, tmp_path
):
    folder = tmp_path / 'here'
    files = [('images/1.png', 6), ('masks/1.png', 5)]
    cfg = stock_parts(cfg, folder)
    # The same roots in all three loaders, spelled differently and through a link.
    sites = len(cfg.train_dataloader.dataset.datasets)
    (tmp_path / 'link').symlink_to(folder)
    cfg.test_dataloader = stock_parts(cfg, tmp_path / 'link').test_dataloader
    for part in cfg.test_dataloader.dataset.datasets:
        part.data_root = f'{part.data_prefix.img_path}/../'
        part.data_prefix = dict(img_path='images', seg_map_path='masks')
    assert DataPlaces.of(cfg).files() == sorted(files * sites)
    shutil.copytree(folder / 'x', folder / 'copy')
    more = cfg.train_dataloader.dataset.datasets[0].to_dict()
    more['data_root'], more['data_prefix'] = str(folder / 'copy'), dict(a='images')
    cfg.train_dataloader.dataset.datasets.append(more)
    assert DataPlaces.of(cfg).files() == sorted([*files * sites, files[0]])


def test_an_image_list_is_listed_among_the_data_files(cfg, tmp_path):
    listing = tmp_path / 'train.txt'
    listing.write_text('1\n')
    cfg = stock_parts(cfg, tmp_path, ann_file=str(listing))
    before = DataPlaces.of(cfg).files()
    assert ('train.txt', 2) in before
    listing.write_text('1\n2\n')
    assert DataPlaces.of(cfg).files() != before
