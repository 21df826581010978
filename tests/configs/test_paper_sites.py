import json

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

from mcdrl_lab.plans.folds import derive_fold
from mcdrl_lab.plans.hashing import plain
from mcdrl_mmseg.prompts import PromptSet

BACKBONES = ('clip-rn50', 'clip-vit-b16', 'clip-vit-l14')
# Values in the masks of two images of each site, as the converters write them.
MASKS = {
    'bm_broncholc': [[0, 1, 2, 3], [0, 4, 5, 6, 7]],
    'laryngoscope8': [[0, 2, 6], [0, 0]],
    'cvc_clinicdb': [[0, 255], [0, 255]],
    'etis_larib': [[0, 255], [255, 0]],
    'kvasir_seg': [[0, 255], [0, 255]],
}
LESIONS = {
    'bm_broncholc': ('tumour', 'inflammation'),
    'laryngoscope8': ('cyst', 'nodule'),
}


@pytest.fixture
def tree(tmp_path, draw_pairs, monkeypatch):
    for site, values in MASKS.items():
        names = [(f'{n}.png', f'{n}.png') for n in range(len(values))]
        draw_pairs(tmp_path / site / 'images', tmp_path / site / 'masks', names, values)
    monkeypatch.setenv('MCDRL_DATA_ROOT', str(tmp_path))
    return tmp_path


SCHEDULE = 'fcn_50e_paper-sites-224x224.py'
DATA = '_base_/datasets/paper_sites.py'
NAMES = [
    name
    for backbone in BACKBONES
    for name in (
        f'mcdrl/mcdrl_{backbone}_{SCHEDULE}',
        f'baselines/{backbone}_{SCHEDULE}',
    )
]


@pytest.mark.parametrize('held_out', MASKS)
def test_the_datasets_of_a_fold_hold_out_its_site(
    held_out, tree, load_config, datasets_of
):
    cfg = load_config(DATA, 32, held_out)
    assert cfg.held_out_site == held_out
    found = {
        name: [sample['data_samples'].site for sample in dataset]
        for name, dataset in datasets_of(cfg).items()
    }
    others = [site for site in MASKS if site != held_out]
    # Of two images of a site, one is for validation.
    assert found == {'train': others, 'val': others, 'test': [held_out, held_out]}


@pytest.mark.parametrize('held_out', MASKS)
def test_every_lesion_class_of_a_fold_has_a_prompt(
    held_out, tree, load_config, datasets_of
):
    cfg = load_config(f'mcdrl/mcdrl_clip-rn50_{SCHEDULE}', 32, held_out)
    prompts = PromptSet.from_cfg(cfg.model.decode_head.dictionary.prompts)
    assert prompts.classes == ('polyp', 'tumour', 'inflammation', 'nodule', 'cyst')
    for dataset in datasets_of(cfg).values():
        for index in range(len(dataset)):
            item = dataset[index]
            sample = item['data_samples']
            assert item['inputs'].shape == (3, 32, 32)
            assert set(sample.gt_sem_seg.data.unique().tolist()) <= {0, 1}
            assert set(sample.lesion_classes) <= set(prompts.classes)


def test_the_mask_labels_of_each_site_become_lesion_types(
    tree, load_config, datasets_of
):
    for site in MASKS:
        first, second = datasets_of(load_config(DATA, 32, site))['test']
        expected = LESIONS.get(site, ('polyp',))
        assert first['data_samples'].lesion_classes == expected
        if site == 'laryngoscope8':
            assert second['data_samples'].lesion_classes == ()


@pytest.mark.parametrize('held_out', MASKS)
def test_models_and_baselines_of_a_fold_have_the_same_data_and_budget(
    held_out, load_config
):
    loaded = [load_config(name, held_out=held_out) for name in NAMES]
    for cfg in loaded:
        for key in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'sites'):
            assert cfg[key] == loaded[0][key]
        assert cfg.train_cfg == loaded[0].train_cfg


@pytest.mark.parametrize('name', NAMES)
def test_every_fold_can_be_derived_from_one_config(name, load_config):
    cfg = load_config(name)
    for site in MASKS:
        stored = load_config(name, held_out=site)
        derived = derive_fold(cfg, site)
        for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            assert json.dumps(plain(derived[key])) == json.dumps(plain(stored[key]))


def test_a_dumped_config_reads_the_same_masks(tree, load_config, datasets_of, tmp_path):
    cfg = load_config(DATA, 32, 'laryngoscope8')
    cfg.dump(tmp_path / 'dumped.py')
    dataset = datasets_of(Config.fromfile(tmp_path / 'dumped.py'))['test']
    assert dataset[0]['data_samples'].lesion_classes == LESIONS['laryngoscope8']


def test_one_training_step_with_five_classes_has_a_contrastive_loss(
    tree, load_config, datasets_of, model_of, step
):
    cfg = load_config(f'mcdrl/mcdrl_clip-rn50_{SCHEDULE}', 64, 'kvasir_seg')
    model = model_of(cfg)
    assert model.decode_head.dictionary.class_embeddings.shape == (5, 1024)
    losses = step(cfg, model, datasets_of(cfg)['train'])
    assert losses['decode.loss_contrast'] > 0


def test_the_configs_of_the_sites_of_the_paper_have_its_full_intervention_width(
    load_config,
):
    """The other configs of RN50 have a quarter of the width, to save memory."""
    cfg = load_config(f'mcdrl/mcdrl_clip-rn50_{SCHEDULE}')
    intervention = MODELS.build(cfg.model.decode_head).intervention
    # 6.3 M per layer, by which the paper's counts for 1, 3 and 5 layers differ: four
    # projections and two feed-forward maps of 1024 x 1024.
    weights = sum(p.numel() for p in intervention.parameters() if p.dim() == 2)
    assert weights == 3 * 6 * 1024**2
