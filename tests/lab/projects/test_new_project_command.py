"""new-project on made-up hospitals; test_journey.py trains its configs."""

import json

import pytest
import torch
import yaml
from mmengine.config import Config

from mcdrl_lab.commands import main
from mcdrl_lab.plans.ablation import load_ablation
from mcdrl_lab.plans.folds import derive_fold, site_names
from mcdrl_lab.plans.hashing import config_hash
from mcdrl_lab.plans.prepared import load_method

SITES = ('north', 'south', 'west')


@pytest.fixture
def new(sites, tmp_path):
    """Run the command on the made-up sites; return exit code and project folder."""

    def run(*options, data=None):
        out = tmp_path / 'project'
        data = data or sites.root
        return main(['new-project', str(data), '--out', str(out), *options]), out

    return run


def test_a_project_has_two_configs_with_the_same_schedule_and_a_plan(
    new, capsys, monkeypatch
):
    code, out = new('--class', 'polyp', '--model', 'tiny-rn', '--size', '96')
    assert code == 0
    captured = capsys.readouterr()
    assert 'north (5 images)' in captured.out
    assert 'left out' not in captured.err
    monkeypatch.setenv('MCDRL_HELD_OUT', 'south')
    mcdrl, baseline = (Config.fromfile(out / f'{n}.py') for n in ('mcdrl', 'baseline'))
    for key in ('train_cfg', 'param_scheduler', 'train_dataloader', 'image_size'):
        assert mcdrl[key] == baseline[key]
    assert mcdrl.optim_wrapper.optimizer == baseline.optim_wrapper.optimizer
    assert [s.name for s in mcdrl.train_dataloader.dataset.sites] == ['north', 'west']
    assert [s.name for s in mcdrl.test_dataloader.dataset.sites] == ['south']
    resize = [t for t in mcdrl.test_pipeline if t.type == 'Resize']
    assert [t.scale for t in resize] == [(96, 96)]
    views = mcdrl.tta_pipeline[1].transforms
    assert views[0] == resize
    assert [step.type for step in views[1]] == ['RandomFlip'] * 3
    head = mcdrl.model.decode_head
    assert head.predictor == baseline.model.decode_head
    assert mcdrl.model.backbone == baseline.model.backbone
    assert head.dictionary.prompts.classes == ['polyp']
    assert '_delete_' not in head.dictionary.prompts
    methods = load_ablation(out / 'plan.yml')
    assert [m.name for m in methods] == ['baseline', 'mcdrl']
    assert site_names(mcdrl) == ['north', 'south', 'west']
    fold = derive_fold(mcdrl, 'west')
    assert [s.name for s in fold.train_dataloader.dataset.sites] == ['north', 'south']


def test_folders_of_a_hospital_without_masks_are_reported_as_left_out(
    new, sites, capsys
):
    (sites.root / 'west/masks').rename(sites.root / 'west/drawn')
    code, _ = new('--class', 'polyp', '--model', 'tiny-rn')
    assert code == 0
    captured = capsys.readouterr()
    assert 'west' not in captured.out
    assert 'belong to no hospital and are not used: west/drawn, west/im' in (
        captured.err
    )


def test_a_hospital_without_lesions_is_used_for_training_and_never_held_out(
    new, sites, draw, capsys, monkeypatch
):
    _, box = draw
    for number in range(5):
        sites.put('north', f'{number}', mask=0 * box())
    code, out = new('--class', 'polyp', '--model', 'tiny-rn')
    assert code == 0
    assert 'north (5 images, none with a lesion' in capsys.readouterr().out
    monkeypatch.setenv('MCDRL_HELD_OUT', 'south')
    cfg = Config.fromfile(out / 'mcdrl.py')
    assert [s.name for s in cfg.train_dataloader.dataset.sites] == ['west', 'north']
    assert site_names(cfg) == ['south', 'west']
    fold = derive_fold(cfg, 'west')
    assert [s.name for s in fold.train_dataloader.dataset.sites] == ['south', 'north']
    assert main(['verify', str(out / 'mcdrl.py'), '--no-cache']) == 0
    readme = (out / 'README.md').read_text()
    assert 'No image of north shows a lesion' in readme
    assert '- Lesion: polyp, label 1 beside the background.\n' in readme
    assert '12 runs' in readme


def test_the_lesion_class_is_left_out_of_the_imaging_conditions(
    new, capsys, monkeypatch
):
    _, out = new('--class', 'Blood', '--model', 'tiny-rn')
    assert 'note: blood: a lesion class here' in capsys.readouterr().out
    monkeypatch.setenv('MCDRL_HELD_OUT', 'south')
    prompts = Config.fromfile(out / 'mcdrl.py').prompts
    assert prompts.classes == ['Blood']
    assert prompts.confounders['surface interference'] == ['mucus', 'reflection']


def test_an_unknown_held_out_hospital_is_refused_with_the_known_ones(new, monkeypatch):
    _, out = new('--class', 'polyp', '--model', 'tiny-rn')
    monkeypatch.setenv('MCDRL_HELD_OUT', 'nort')
    with pytest.raises(
        ValueError, match=r"'nort' is not a site .*: north, south, west"
    ):
        Config.fromfile(out / 'mcdrl.py')


def test_held_out_none_trains_on_all_hospitals_and_keeps_the_folds(
    new, capsys, monkeypatch
):
    _, out = new('--class', 'polyp', '--model', 'tiny-rn')
    folds = {
        name: load_all_folds(out, name, monkeypatch) for name in ('north', 'south')
    }
    monkeypatch.setenv('MCDRL_HELD_OUT', 'none')
    cfg = Config.fromfile(out / 'mcdrl.py')
    for loader, split in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        dataset = cfg[f'{loader}_dataloader'].dataset
        assert [s.name for s in dataset.sites] == ['north', 'south', 'west']
        assert dataset.split == split
    assert 'held_out_site' not in cfg
    assert main(['verify', str(out / 'mcdrl.py'), '--no-cache']) == 0
    assert 'choose the checkpoint' in capsys.readouterr().out
    # A fold tests its whole site, and no plan depends on the environment variable.
    test = derive_fold(cfg, 'south').test_dataloader.dataset
    assert ([s.name for s in test.sites], test.split) == (['south'], 'all')
    assert load_all_folds(out, 'none', monkeypatch) == folds['north'] == folds['south']
    command = f'MCDRL_HELD_OUT=none python tools/train.py {out}/mcdrl.py'
    assert command in (out / 'README.md').read_text()


def load_all_folds(out, held_out, monkeypatch):
    monkeypatch.setenv('MCDRL_HELD_OUT', held_out)
    methods = load_ablation(out / 'plan.yml')
    configs = [load_method(method) for method in methods]
    return [config_hash(derive_fold(c, s).to_dict()) for c in configs for s in SITES]


def test_a_hospital_whose_last_image_alone_shows_a_lesion_is_held_out_too(
    new, sites, draw
):
    _, box = draw
    for number in range(4):
        sites.put('north', f'{number}', mask=0 * box())
    code, out = new('--class', 'polyp', '--model', 'tiny-rn')
    assert code == 0
    assert site_names(Config.fromfile(out / 'mcdrl.py')) == ['north', 'south', 'west']


def test_hospitals_without_any_lesion_are_refused(new, sites, draw, capsys):
    _, box = draw
    for site in sites.names:
        for number in range(5):
            sites.put(site, f'{number}', mask=0 * box())
    code, out = new('--class', 'polyp', '--model', 'tiny-rn')
    assert (code, out.exists()) == (2, False)
    assert 'no mask of any hospital shows a lesion' in capsys.readouterr().err


def test_a_single_hospital_is_split_and_gets_no_plan(new, sites):
    code, out = new('--class', 'polyp', '--model', 'tiny-rn', data=sites.root / 'north')
    assert code == 0
    assert not (out / 'plan.yml').exists()
    cfg = Config.fromfile(out / 'mcdrl.py')
    splits = [cfg[f'{n}_dataloader'].dataset.split for n in ('train', 'val', 'test')]
    assert splits == ['train', 'val', 'val']
    assert 'One hospital' in (out / 'README.md').read_text()


def test_another_modality_gets_its_own_prompts_and_a_warning(new, capsys):
    code, out = new('--class', 'benign breast tumour', '--modality', 'ultrasound')
    assert code == 0
    assert '--model builtin: tiny-rn, because' in capsys.readouterr().out
    prompts = Config.fromfile(out / 'mcdrl.py').model.decode_head.dictionary.prompts
    assert prompts.classes == ['benign breast tumour']
    assert 'acoustic artifacts' in prompts.confounders
    assert 'lighting' not in prompts.confounders
    assert 'mean little to them' in (out / 'README.md').read_text()


@pytest.mark.parametrize('own', [False, True])
def test_the_tiny_clip_uses_the_dense_mode_that_it_was_trained_for(new, tmp_path, own):
    weights = tmp_path / 'of_pretrain.pt'
    torch.save(torch.nn.Linear(1, 1).state_dict(), weights)
    options = ('--weights', str(weights)) if own else ()
    code, out = new('--class', 'polyp', '--model', 'tiny-rn', *options)
    assert code == 0
    for name in ('mcdrl', 'baseline'):
        backbone = Config.fromfile(out / f'{name}.py').model.backbone
        assert backbone.dense_mode == 'maskclip'
        assert backbone.pretrained == (str(weights) if own else 'builtin')


@pytest.mark.parametrize('scripted', [True, False])
def test_only_a_torchscript_archive_of_openai_gets_quick_gelu(new, tmp_path, scripted):
    path = tmp_path / 'ViT-B-16.pt'
    layer = torch.nn.Linear(1, 1)
    if scripted:
        torch.jit.script(layer).save(path)
    else:
        torch.save(layer.state_dict(), path)
    code, out = new('--class', 'polyp', '--model', 'vit-b16', '--weights', str(path))
    assert code == 0
    for name in ('mcdrl', 'baseline'):
        backbone = Config.fromfile(out / f'{name}.py').model.backbone
        assert backbone.pretrained == str(path)
        assert backbone.get('quick_gelu') is (True if scripted else None)


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        ((), 'the lesion class of its masks is not recorded'),
        (('--class', 'polyp', '--size', '100'), '--size 100: expected a multiple'),
        (('--class', 'polyp', '--weights', 'gone.pt'), 'gone.pt is not a file'),
    ],
)
def test_unusable_input_ends_with_a_one_line_error_and_writes_nothing(
    new, capsys, options, told
):
    code, out = new('--model', 'tiny-rn', *options)
    assert code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]
    assert not out.exists()


def test_masks_with_unexpected_values_are_refused(new, sites, draw, capsys):
    sites.put('south', '0', mask=draw[1](value=3))
    code, out = new('--class', 'polyp', '--model', 'tiny-rn')
    assert code == 2
    assert '--mask-values' in capsys.readouterr().err
    assert not out.exists()


def test_an_existing_output_folder_is_refused(new, tmp_path, capsys):
    (tmp_path / 'project').mkdir()
    (tmp_path / 'project/mine').write_text('mine')
    assert new('--class', 'polyp')[0] == 2
    assert 'already exists' in capsys.readouterr().err


def test_the_plan_lists_both_configs_and_the_readme_runs_it(new):
    _, out = new('--class', 'polyp', '--model', 'tiny-rn')
    plan = yaml.safe_load((out / 'plan.yml').read_text())
    assert {v['config'] for v in plan['variants']} == {'mcdrl.py', 'baseline.py'}
    readme = (out / 'README.md').read_text()
    assert f'ablation {out}/plan.yml --seeds 3' in readme
    # Training uses 4 of 5 images of each of two sites, in batches of two.
    assert 'batches of 2' in readme


@pytest.fixture
def note_classes(sites):
    """Write the class names that a converter records for a hospital's masks."""

    def note(site, *names):
        values = {0: 'background', **dict(zip((255, 128), names))}
        text = json.dumps({'mask_values': values})
        (sites.root / site / 'classes.json').write_text(text)

    return note


@pytest.mark.parametrize('names', [['adenoma'], ['polyp', 'adenoma']])
def test_a_class_is_refused_if_all_hospitals_have_recorded_others(
    new, note_classes, capsys, names
):
    for site in SITES:
        note_classes(site, *names)
    code, out = new('--class', 'polyp', '--model', 'tiny-rn')
    assert code == 2 and not out.exists()
    error = capsys.readouterr().err
    assert error.startswith('error: --class polyp: the classes.json of every hospital ')
    assert f'north ({", ".join(names)}), south' in error


def test_the_class_option_applies_to_hospitals_without_a_recorded_class(
    new, note_classes, capsys
):
    note_classes('north', 'adenoma')
    note_classes('south', 'polyp')
    code, out = new('--class', 'polyp', '--model', 'tiny-rn')
    assert code == 0
    several = '- Lesions: adenoma, polyp. All have label 1, beside the background;'
    assert several in (out / 'README.md').read_text()
    told = capsys.readouterr().err
    assert 'note: --class polyp is not used for hospitals whose cla' in told
    assert 'names other classes: north (adenoma).' in told


def test_a_class_that_all_hospitals_have_recorded_causes_no_note(
    new, note_classes, capsys
):
    for site in SITES:
        note_classes(site, 'polyp')
    code, _ = new('--class', 'polyp', '--model', 'tiny-rn')
    assert code == 0 and 'note: --class' not in capsys.readouterr().err
