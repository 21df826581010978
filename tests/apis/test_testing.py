from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mcdrl_mmseg.apis.testing import (
    NoteHook,
    TrainedOnHook,
    draw_predictions,
    use_tta,
)


def _config(**entries):
    return Config(
        dict(
            default_hooks=dict(visualization=dict(type='SegVisualizationHook')),
            visualizer=dict(type='SegLocalVisualizer'),
            test_evaluator=dict(type='SiteLesionMetric'),
            **entries,
        )
    )


def test_show_dir_draws_every_prediction_without_a_window():
    cfg = _config()
    draw_predictions(cfg, False, 'overlays', 2)
    assert cfg.default_hooks.visualization == dict(
        type='SegVisualizationHook', draw=True, interval=1
    )
    assert cfg.visualizer.save_dir == 'overlays'


def test_show_opens_a_window_for_the_given_time_and_writes_nothing():
    cfg = _config()
    draw_predictions(cfg, True, None, 0.5)
    hook = cfg.default_hooks.visualization
    assert (hook.draw, hook.show, hook.wait_time) == (True, True, 0.5)
    assert 'save_dir' not in cfg.visualizer


def test_error_for_drawing_without_a_visualization_hook_names_the_hook():
    cfg = Config(dict(default_hooks=dict()))
    with pytest.raises(ValueError, match="type='SegVisualizationHook'"):
        draw_predictions(cfg, False, 'overlays', 2)


def test_tta_wraps_the_model_and_uses_the_tta_pipeline():
    cfg = _config(
        model=dict(type='EncoderDecoder'),
        tta_model=dict(type='SegTTAModel'),
        tta_pipeline=[dict(type='TestTimeAug')],
        test_dataloader=dict(dataset=dict(pipeline=[dict(type='Resize')])),
    )
    use_tta(cfg)
    assert cfg.model == dict(type='SegTTAModel', module=dict(type='EncoderDecoder'))
    assert cfg.test_dataloader.dataset.pipeline == [dict(type='TestTimeAug')]


def test_tta_with_one_dataset_per_site_keeps_the_name_of_each_site(repo_root):
    name = 'configs/mcdrl/mcdrl_unet-s5-d16_fcn_50e_retinal-vessels-512x512.py'
    cfg = Config.fromfile(repo_root / name)
    use_tta(cfg)
    for part in cfg.test_dataloader.dataset.datasets:
        steps = [step['type'] for step in part.pipeline]
        assert steps == ['SetSite', 'LoadImageFromFile', 'TestTimeAug']
        assert part.pipeline[0].site == part.metainfo.site


def _sizes_of(tested, views):
    """A config whose test pipeline and views resize to these sizes."""
    sizes = [[dict(type='Resize', scale=scale) for scale in views]]
    return _config(
        model=dict(type='EncoderDecoder'),
        tta_model=dict(type='SegTTAModel'),
        tta_pipeline=[dict(type='TestTimeAug', transforms=sizes)],
        test_dataloader=dict(
            dataset=dict(pipeline=[dict(type='Resize', scale=tested)])
        ),
    )


def test_views_of_another_size_than_the_test_pipeline_give_a_note():
    note = use_tta(_sizes_of((64, 64), [(224, 224)]))
    assert 'tta_pipeline resizes images to 224 x 224' in note
    assert 'the test pipeline to 64 x 64' in note


@pytest.mark.parametrize(
    ('tested', 'views'),
    [((96, 64), [(96, 64)]), (64, [(64, 64)]), ((64, 64), [(48, 48), [64, 64]])],
    ids=['equal', 'one number', 'several sizes'],
)
def test_views_of_the_size_of_the_test_pipeline_give_no_note(tested, views):
    assert use_tta(_sizes_of(tested, views)) is None


def test_views_with_a_scale_factor_give_no_note():
    cfg = _sizes_of((64, 64), [])
    cfg.tta_pipeline[0].transforms = [[dict(type='Resize', scale_factor=0.5)]]
    assert use_tta(cfg) is None


def test_a_note_is_logged_after_the_test():
    said = []
    runner = SimpleNamespace(logger=SimpleNamespace(warning=said.append))
    NoteHook('other views').after_test(runner)
    assert said == ['other views']


@pytest.mark.parametrize('folder', ['mcdrl', 'baselines'])
def test_every_shipped_config_has_views_of_its_own_size(repo_root, folder):
    for path in (repo_root / 'configs' / folder).glob('*.py'):
        cfg = Config.fromfile(path)
        views = cfg.tta_pipeline[1].transforms
        assert [step['type'] for step in views[1]] == ['RandomFlip'] * 3, path
        (resize,) = (step for step in cfg.test_pipeline if step['type'] == 'Resize')
        assert views[0] == [resize], path
        assert cfg.tta_model == dict(type='SegProbabilityTTAModel'), path


def test_error_for_tta_names_only_the_missing_entry_of_the_config():
    cfg = _config(tta_model=dict(type='SegTTAModel'))
    with pytest.raises(ValueError, match='tta_pipeline') as raised:
        use_tta(cfg)
    assert 'tta_model' not in str(raised.value)


@pytest.fixture
def told():
    """Warnings after the test of a checkpoint that was trained at two sites."""

    def run(meta=None, held_out='south', **dataset):
        trained = Config(
            dict(
                held_out_site=held_out,
                train_dataloader=dict(
                    dataset=dict(split='train', sites=[dict(name='north'), 'west'])
                ),
            )
        )
        meta = dict(cfg=trained.pretty_text) if meta is None else meta
        lines = []
        runner = SimpleNamespace(logger=SimpleNamespace(warning=lines.append))
        cfg = dict(load_from='best.pth', test_dataloader=dict(dataset=dataset))
        hook = TrainedOnHook(Config(cfg))
        hook.after_load_checkpoint(runner, dict(meta=meta))
        hook.after_test(runner)
        return lines

    return run


@pytest.mark.parametrize('site', ['west', dict(name='north')])
def test_a_test_at_a_training_site_gives_a_warning_after_the_scores(told, site):
    (line,) = told(sites=['south', site])
    name = site if isinstance(site, str) else site['name']
    assert line.startswith(f'best.pth was trained on images of {name}: these scores')
    assert 'MCDRL_HELD_OUT=south.' in line


def test_warning_advises_leave_one_site_out_if_the_training_held_no_site_out(told):
    (line,) = told(sites=['north'], held_out=None)
    assert 'It records no held-out site' in line
    assert 'leave-one-site-out' in line
    assert 'MCDRL_HELD_OUT' not in line


def test_sites_of_a_wrapped_dataset_are_checked(told):
    assert told(type='RepeatDataset', dataset=dict(sites=['north']))


@pytest.mark.parametrize(
    'dataset',
    [
        dict(sites=['south']),
        # A project of one hospital: the validation part is not trained on.
        dict(sites=['north'], split='val'),
        dict(data_prefix=dict(img_path='images')),
    ],
)
def test_a_test_on_images_outside_the_training_gives_no_warning(told, dataset):
    assert told(**dataset) == []


@pytest.mark.parametrize('meta', [{}, dict(cfg='import os'), dict(cfg=None)])
def test_a_checkpoint_without_its_training_sites_gives_no_warning(told, meta):
    assert told(meta, sites=['north']) == []


@pytest.mark.parametrize(
    ('loads', 'packs', 'message'),
    [
        ('LoadAnnotations', ['site'], 'uses the values in a mask as labels'),
        ('LoadLesionMask', ['img_path'], "lack 'site'"),
        ('LoadLesionMask', ['site'], None),
    ],
)
def test_views_that_lose_the_mask_format_or_the_site_are_refused(loads, packs, message):
    views = [
        [dict(type='RandomFlip', prob=0.0)],
        [dict(type=loads)],
        [dict(type='PackSegInputs', meta_keys=packs)],
    ]
    sites = dict(type='EndoscopySiteDataset', sites=['north'], pipeline=[])
    cfg = _config(
        model=dict(type='EncoderDecoder'),
        tta_model=dict(type='SegProbabilityTTAModel'),
        tta_pipeline=[dict(type='TestTimeAug', transforms=views)],
        test_dataloader=dict(dataset=sites),
    )
    if message is None:
        use_tta(cfg)
        return
    with pytest.raises(ValueError, match=message):
        use_tta(cfg)
