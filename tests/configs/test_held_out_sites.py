"""MCDRL_HELD_OUT, the variable that selects the held-out site of a config."""

import pytest
from mmengine.config import Config

from mcdrl_lab.plans.folds import derive_fold
from mcdrl_lab.plans.hashing import config_hash

# Data set -> its sites; the first is held out unless the variable names another one.
SITES = {
    'endoscopy-sites': (
        'polypgen_c1',
        'polypgen_c2',
        'polypgen_c3',
        'polypgen_c4',
        'endotect_kvasir',
        'vocalfolds_larynx',
    ),
    'endosim': ('endosim_a', 'endosim_b', 'endosim_c', 'endosim_d', 'endosim_e'),
    'paper-sites': (
        'bm_broncholc',
        'laryngoscope8',
        'cvc_clinicdb',
        'etis_larib',
        'kvasir_seg',
    ),
    'retinal-vessels': ('drive', 'stare', 'chase_db1', 'hrf'),
}
CONFIGS = {
    'endoscopy-sites': 'mcdrl/mcdrl_clip-vit-b16_fcn_50e_endoscopy-sites-224x224.py',
    'endosim': 'mcdrl/mcdrl_clip-tiny-rn_fcn-map_6e_endosim-128x128.py',
    'paper-sites': 'mcdrl/mcdrl_clip-rn50_fcn_50e_paper-sites-224x224.py',
    'retinal-vessels': 'mcdrl/mcdrl_unet-s5-d16_fcn_50e_retinal-vessels-512x512.py',
}
FOLDS = [(data, site) for data, sites in SITES.items() for site in sites]
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def sites_of(loader):
    dataset = loader.dataset
    parts = dataset.get('datasets') or dataset.sites
    names = [p.metainfo.site if 'metainfo' in p else p['name'] for p in parts]
    return list(dict.fromkeys(names))


@pytest.mark.parametrize('data', SITES)
def test_the_first_site_is_held_out_if_the_variable_is_not_set(data, load_config):
    one = load_config(CONFIGS[data])
    other = load_config(CONFIGS[data], held_out=SITES[data][0])
    assert one.to_dict() == other.to_dict()


@pytest.mark.parametrize(('data', 'site'), FOLDS)
def test_the_variable_selects_the_fold(data, site, load_config):
    cfg = load_config(CONFIGS[data], held_out=site)
    others = [name for name in SITES[data] if name != site]
    assert [s['name'] for s in cfg.sites] == list(SITES[data])
    assert cfg.held_out_site == site
    found = [sites_of(cfg[loader]) for loader in LOADERS]
    assert found == [others, others, [site]]


@pytest.mark.parametrize('data', SITES)
def test_a_site_that_does_not_exist_is_an_error_that_lists_the_sites(data, load_config):
    message = rf"MCDRL_HELD_OUT='elsewhere' .*{', '.join(SITES[data])}"
    with pytest.raises(ValueError, match=message):
        load_config(CONFIGS[data], held_out='elsewhere')


@pytest.mark.parametrize('data', SITES)
def test_runs_of_a_plan_do_not_depend_on_the_variable(data, load_config):
    hashes = {
        config_hash(derive_fold(cfg, SITES[data][1], 3).to_dict())
        for cfg in (load_config(CONFIGS[data], held_out=s) for s in SITES[data])
    }
    assert len(hashes) == 1


def test_a_dumped_config_keeps_the_held_out_site_it_was_read_with(
    load_config, tmp_path, monkeypatch
):
    load_config(CONFIGS['endosim'], held_out='endosim_d').dump(tmp_path / 'dumped.py')
    monkeypatch.setenv('MCDRL_HELD_OUT', 'endosim_b')
    cfg = Config.fromfile(tmp_path / 'dumped.py')
    assert sites_of(cfg.test_dataloader) == [cfg.held_out_site] == ['endosim_d']
    derived = derive_fold(cfg, 'endosim_b')
    assert sites_of(derived.test_dataloader) == ['endosim_b']
    assert sites_of(derived.train_dataloader) == [
        s for s in SITES['endosim'] if s != 'endosim_b'
    ]


@pytest.mark.parametrize('prefix', ['baselines/', 'mcdrl/mcdrl_'])
def test_the_demo_keeps_its_sites_whatever_the_variable_says(load_config, prefix):
    name = f'{prefix}clip-endo-lite0_segformer_demo_endoscopy-sites-160x160.py'
    one, other = load_config(name), load_config(name, held_out='polypgen_c3')
    assert one.to_dict() == other.to_dict()
    assert 'polypgen_c1' not in sites_of(one.train_dataloader)
    assert sites_of(one.test_dataloader) == ['polypgen_c1']
    # The plan derives its fold from the config's own sites: three in, one out.
    derived = derive_fold(one, 'polypgen_c1')
    assert sites_of(derived.train_dataloader) == sites_of(one.train_dataloader)
    assert len(sites_of(derived.train_dataloader)) == 3
