import pytest
from mmengine import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

import mcdrl_mmseg  # noqa: F401
from mcdrl_lab.simulation.hospitals import SITES
from mcdrl_lab.simulation.scene import LESION_CLASSES, MASK_VALUES
from mcdrl_lab.simulation.simulated_sites import Benchmark, write_benchmark

FOLDER = 'configs/_base_/datasets'


@pytest.mark.parametrize('site', SITES)
def test_a_fold_trains_on_four_sites_and_tests_on_the_fifth(
    repo_root, site, monkeypatch
):
    monkeypatch.setenv('MCDRL_HELD_OUT', site)
    config = Config.fromfile(repo_root / FOLDER / 'endosim.py')
    others = [s for s in SITES if s != site]
    assert config.held_out_site == site
    assert [s['name'] for s in config.sites] == list(SITES)
    for part, split in (('train', 'train'), ('val', 'val')):
        dataset = config[f'{part}_dataloader'].dataset
        assert [s['name'] for s in dataset.sites] == others
        assert dataset.split == split
    test = config.test_dataloader.dataset
    assert [s['name'] for s in test.sites] == [site] and test.split == 'all'


def test_the_configs_name_the_classes_in_the_masks(repo_root):
    config = Config.fromfile(repo_root / FOLDER / 'endosim.py')
    for site in config.sites:
        assert tuple(site.lesion_classes) == LESION_CLASSES
        assert dict(site.mask_values) == MASK_VALUES


def test_the_data_sets_of_a_fold_read_the_written_benchmark(
    repo_root, tmp_path, monkeypatch
):
    write_benchmark(Benchmark(images_per_site=5, size=48), tmp_path)
    monkeypatch.setenv('MCDRL_ENDOSIM_ROOT', str(tmp_path))
    init_default_scope('mmseg')
    monkeypatch.setenv('MCDRL_HELD_OUT', 'endosim_c')
    config = Config.fromfile(repo_root / FOLDER / 'endosim.py')
    sizes = {}
    for part in ('train', 'val', 'test'):
        dataset = DATASETS.build(config[f'{part}_dataloader'].dataset)
        sizes[part] = len(dataset)
        sample = dataset[0]
        assert tuple(sample['inputs'].shape) == (3, 128, 128)
        assert sample['data_samples'].site in SITES
        assert isinstance(sample['data_samples'].lesion_classes, tuple)
    assert sizes == {'train': 16, 'val': 4, 'test': 5}


def test_the_randomised_experiment_is_tested_on_the_shifted_sites(
    repo_root, monkeypatch
):
    monkeypatch.setenv('MCDRL_ENDOSIM_ROOT', 'shifted')
    monkeypatch.setenv('MCDRL_ENDOSIM_RANDOMISED_ROOT', 'randomised')
    name = 'randomised_clip-tiny-rn_fcn_6e_endosim-128x128.py'
    config = Config.fromfile(repo_root / 'configs/baselines' / name)
    roots = {
        part: config[f'{part}_dataloader'].dataset.data_root
        for part in ('train', 'val', 'test')
    }
    assert roots == {'train': 'randomised', 'val': 'randomised', 'test': 'shifted'}
