import copy
from functools import cache

import pytest
from mmengine.config import Config
from mmengine.evaluator import Evaluator

from mcdrl_common.verification import verify
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.folds import DataPlaces, derive_fold, run_budget, site_names
from mcdrl_lab.plans.hashing import config_hash
from mcdrl_mmseg.datasets.config_listing import list_config

# Folder and file names as MMSegmentation's converters write them.
LAYOUT = {
    'drive': ('DRIVE', '{}.png', '{}_manual1.png'),
    'stare': ('STARE', 'im000{}.png', 'im000{}.ah.png'),
    'chase_db1': ('CHASE_DB1', 'Image_{}L.png', 'Image_{}L_1stHO.png'),
    'hrf': ('HRF', '{}_dr.png', '{}_dr.png'),
}
MCDRL = 'mcdrl/mcdrl_unet-s5-d16_fcn_50e_retinal-vessels-512x512.py'
BASELINE = 'baselines/unet-s5-d16_fcn_50e_retinal-vessels-512x512.py'


@pytest.fixture
def tree(tmp_path, draw_pairs, monkeypatch):
    """Two training images and one validation image of each site."""
    for folder, image, mask in LAYOUT.values():
        for part, numbers in (('training', [21, 22]), ('validation', [1])):
            names = [(image.format(n), mask.format(n)) for n in numbers]
            root = tmp_path / folder
            draw_pairs(
                root / 'images' / part,
                root / 'annotations' / part,
                names,
                [[0, 1]] * len(numbers),
            )
    monkeypatch.setenv('MCDRL_VESSELS_ROOT', str(tmp_path))
    return tmp_path


def sites(dataset):
    return [dataset[index]['data_samples'].site for index in range(len(dataset))]


@pytest.mark.parametrize('held_out', LAYOUT)
def test_the_samples_of_a_fold_carry_their_site(
    held_out, tree, load_config, datasets_of
):
    cfg = load_config('_base_/datasets/retinal_vessels.py', 32, held_out)
    datasets = datasets_of(cfg)
    others = [site for site in LAYOUT if site != held_out]
    assert sites(datasets['train']) == [site for site in others for _ in range(2)]
    assert sites(datasets['val']) == others
    assert sites(datasets['test']) == [held_out] * 3
    assert datasets['train'].metainfo['classes'] == ('background', 'vessel')


@pytest.fixture(scope='module')
def stored(load_config):
    """Each config as loaded for a site or for none; do not change them."""
    return cache(lambda name, held_out: load_config(name, held_out=held_out))


@pytest.mark.parametrize('loaded', [*LAYOUT, 'none'])
@pytest.mark.parametrize('name', [MCDRL, BASELINE])
def test_every_fold_can_be_derived_from_any_fold_and_from_the_config_of_all_sites(
    name, loaded, stored
):
    cfg = copy.deepcopy(stored(name, loaded))
    assert site_names(cfg) == list(LAYOUT)
    whole = copy.deepcopy(stored(name, 'none'))
    for site in LAYOUT:
        derived, fold = derive_fold(cfg, site), stored(name, site)
        assert derived.held_out_site == fold.held_out_site == site
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            assert derived[loader].to_dict() == fold[loader].to_dict()
        same = derive_fold(whole, site)
        assert config_hash(derived.to_dict()) == config_hash(same.to_dict())


def test_every_fold_can_be_derived_from_a_dumped_config(load_config, tmp_path):
    cfg = load_config(MCDRL, held_out='hrf')
    cfg.dump(tmp_path / 'dumped.py')
    dumped = Config.fromfile(tmp_path / 'dumped.py')
    for site in LAYOUT:
        one, other = (derive_fold(c, site).to_dict() for c in (cfg, dumped))
        assert config_hash(one) == config_hash(other)


def test_with_held_out_none_every_loader_has_all_sites(tree, load_config, datasets_of):
    datasets = datasets_of(load_config(BASELINE, 32, 'none'))
    assert {name: len(dataset) for name, dataset in datasets.items()} == {
        'train': 8,
        'val': 4,
        'test': 4,
    }


@pytest.mark.parametrize('name', [MCDRL, BASELINE])
@pytest.mark.parametrize('held_out', ['drive', 'none'])
def test_the_data_check_finds_no_test_images_among_the_training_images(
    name, held_out, tree, load_config
):
    # Otherwise the data check would stop the training.
    report = verify(list_config(load_config(name, held_out=held_out)), full=False)
    kinds = {finding.kind for finding in report.findings}
    chosen_by_the_test = {'test images choose the checkpoint'}
    assert kinds == (chosen_by_the_test if held_out == 'none' else set())
    assert not report.problems


def test_a_config_of_a_single_fold_cannot_give_another_fold(load_config):
    cfg = load_config(MCDRL, held_out='drive')
    for key in ('training_parts', 'validation_parts', 'test_parts'):
        cfg.pop(key)
    derive_fold(cfg, 'drive')
    with pytest.raises(ProtocolError, match='not a single fold'):
        derive_fold(cfg, 'hrf')


def test_the_protocol_reads_image_size_and_files_from_the_config(tree, load_config):
    cfg = derive_fold(load_config(BASELINE), 'stare')
    assert run_budget(cfg, 6)['image_size'] == [512, 512]
    # Three training sites of six files each, and six files of the held-out site.
    assert len(DataPlaces.of(cfg).files()) == 3 * 6 + 6


@pytest.mark.parametrize('name', [MCDRL, BASELINE])
def test_a_model_takes_one_step_and_is_scored_by_site(
    name, tree, load_config, datasets_of, model_of, step
):
    cfg = load_config(name, 64, 'chase_db1')
    datasets = datasets_of(cfg)
    model = model_of(cfg)
    losses = step(cfg, model, datasets['train'])
    assert losses['decode.loss_ce'] > 0
    # Vessels are the only class: with a guide, L_causal would have a constant target.
    assert 'decode.loss_causal' not in losses

    evaluator = Evaluator(cfg.val_evaluator)
    evaluator.dataset_meta = datasets['test'].metainfo
    model.eval()
    for index in range(3):
        batch = datasets['test'][index]
        batch = dict(inputs=[batch['inputs']], data_samples=[batch['data_samples']])
        (sample,) = model.test_step(batch)
        assert sample.pred_sem_seg.shape == (40, 48)
        evaluator.process([sample], batch)
    metrics = evaluator.evaluate(3)
    assert metrics['site/chase_db1/lesion_images'] == 3


def test_the_prompts_describe_the_fundus(load_config):
    dictionary = load_config(MCDRL).model.decode_head.dictionary
    assert dictionary.prompts.classes == ['retinal vessel']
    assert 'fundus' in dictionary.prompts.confounder_template
