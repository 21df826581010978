from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mcdrl_common.trained_sites import trained_sites
from mcdrl_mmseg.apis.console import ToolRunner
from mcdrl_mmseg.engine.starting_sites import check_starting_sites
from mcdrl_mmseg.safe_loading import CheckpointError


def _fold(sites, held_out=None):
    """Config of a training on some sites."""
    entries = dict(train_dataloader=dict(dataset=dict(split='train', sites=sites)))
    if held_out:
        entries['held_out_site'] = held_out
        entries['test_dataloader'] = dict(dataset=dict(sites=[held_out]))
    return Config(entries)


@pytest.fixture
def start():
    """Warnings when a training starts from the checkpoint of another config."""

    def run(own, earlier, resume):
        lines = []
        runner = SimpleNamespace(
            logger=SimpleNamespace(warning=lines.append),
            cfg=own,
            work_dir='work',
            _resume=resume,
            _load_from=None if resume else 'all.pth',
        )
        meta = dict(cfg=earlier.pretty_text)
        check_starting_sites(runner, trained_sites(dict(meta=meta), 'all.pth'))
        return lines

    return run


def test_a_run_is_not_resumed_with_another_site_held_out(start):
    earlier = _fold(['a', 'b'], held_out='c')
    with pytest.raises(CheckpointError) as refused:
        start(_fold(['b', 'c'], held_out='a'), earlier, resume=True)
    text = str(refused.value)
    assert text.startswith('The checkpoint in work was trained on a, b, but the config')
    assert 'Set MCDRL_HELD_OUT=c,' in text


def test_a_run_on_all_sites_is_not_resumed_with_one_held_out(start):
    with pytest.raises(CheckpointError, match='of its beginning'):
        start(_fold(['a', 'b'], held_out='c'), _fold(['a', 'b', 'c']), resume=True)


def test_a_run_is_resumed_on_its_own_sites_in_any_order(start):
    earlier = _fold([dict(name='a'), 'b'], held_out='c')
    assert start(_fold(['b', 'a'], held_out='c'), earlier, resume=True) == []


def test_initial_weights_that_know_the_held_out_site_are_reported(start):
    (line,) = start(_fold(['a', 'b'], 'c'), _fold(['a', 'b', 'c']), resume=False)
    assert line.startswith('all.pth was trained on images of c, which')


def test_initial_weights_of_the_same_fold_or_of_a_new_training_site_pass(start):
    own = _fold(['a', 'b'], held_out='c')
    assert start(own, _fold(['a'], held_out='c'), resume=False) == []
    # Nothing is held out: no score at a new site is claimed.
    assert start(_fold(['a', 'b', 'c']), own, resume=False) == []


@pytest.mark.parametrize('resume', [True, False])
def test_trainings_without_named_sites_start_from_any_checkpoint(start, resume):
    stock = Config(dict(train_dataloader=dict(dataset=dict(type='BaseSegDataset'))))
    assert start(stock, _fold(['a', 'b'], 'c'), resume) == []
    assert start(_fold(['a', 'b'], 'c'), stock, resume) == []


def test_every_runner_refuses_to_resume_with_another_site_held_out(make_toy_runner):
    """MMSegmentation's own tools/train.py builds MMEngine's runner."""
    hooks = dict(custom_hooks=[dict(type='ConfigCheckHook')])
    make_toy_runner(scores=(1,), cfg=_fold(['a', 'b'], 'c'), **hooks).train()
    other = dict(cfg=_fold(['b', 'c'], 'a'), resume=True, **hooks)
    with pytest.raises(CheckpointError, match=r'run was trained on a, b, but'):
        make_toy_runner(**other).train()
    same = make_toy_runner(cfg=_fold(['b', 'a'], 'c'), resume=True, **hooks)
    same.train()
    assert same.epoch == 3


def test_a_refused_resume_leaves_the_config_in_the_work_folder(
    make_toy_runner, tmp_path
):
    def start(text, **changes):
        file = tmp_path / 'fold.py'
        file.write_text(text)
        cfg = Config.fromfile(file)
        hooks = [dict(type='ConfigCheckHook')]
        make_toy_runner(kind=ToolRunner, cfg=cfg, custom_hooks=hooks, **changes).train()
        return (tmp_path / 'run/fold.py').read_text()

    first = start(_fold(['a', 'b'], 'c').pretty_text, scores=(1,))
    with pytest.raises(CheckpointError):
        start(_fold(['b', 'c'], 'a').pretty_text, resume=True)
    assert (tmp_path / 'run/fold.py').read_text() == first
    other_order = _fold(['b', 'a'], 'c').pretty_text
    assert other_order != first == _fold(['a', 'b'], 'c').pretty_text
    assert start(other_order, resume=True) == other_order
