import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from mmengine.registry import DefaultScope

from mcdrl_common.model_settings import model_hash
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.installed_versions import installed_versions
from mcdrl_lab.plans.plan import Method, build_plan
from mcdrl_lab.plans.plan_merge_command import merge
from mcdrl_lab.plans.prepared import check_siblings, load_method, prepare
from mcdrl_lab.plans.records import RunRecord
from mcdrl_lab.plans.run_folder import RunFolder
from mcdrl_lab.results.comparison import check_comparable

CONFIG = """
sites = [dict(name='x'), dict(name='y')]
dataset = dict(type='EndoscopySiteDataset', data_root={root!r}, sites=sites,
               pipeline=[dict(type='NoSuchStep')])
train_dataloader = dict(batch_size=2, dataset=dict(split='train', **dataset))
val_dataloader = dict(dataset=dict(split='val', **dataset))
test_dataloader = dict(dataset=dict(split='all', **dataset))
val_evaluator = test_evaluator = dict(type='SiteLesionMetric')
train_cfg = dict(max_epochs=3)
model = dict(width=1)
"""


@pytest.fixture
def config(tmp_path):
    for site, count in (('x', 5), ('y', 10)):
        for kind, ending in (('images', 'jpg'), ('masks', 'png')):
            folder = tmp_path / 'data' / site / kind
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f'{number}.{ending}').write_bytes(b'no picture')
    path = tmp_path / 'c.py'
    path.write_text(CONFIG.format(root=str(tmp_path / 'data')))
    return path


def plan_of(config, seeds=1, **options):
    return build_plan([Method('a', str(config), options)], ['x', 'y'], range(seeds))


def test_training_images_are_counted_without_reading_any(config):
    without_x, without_y = prepare(plan_of(config))
    # val_fraction is 0.2: eight of ten and four of five images are for training.
    assert without_x.budget['train_images'] == 8
    assert without_y.budget['train_images'] == 4
    assert without_x.iters_per_epoch == 4


def test_sites_that_no_run_trains_on_give_a_warning(config):
    text = config.read_text()
    more = "train_dataloader['dataset']['sites'] = [*sites, dict(name='healthy')]\n"
    config.write_text(text + more)
    with pytest.warns(
        UserWarning, match=r'a: no run is trained on .*: healthy\. .* only'
    ):
        prepare(plan_of(config)[:1])


def test_a_repeated_training_set_is_counted_in_another_default_scope(config):
    wrapped = """
train_dataloader['dataset'] = dict(
    type='RepeatDataset', times=3, dataset=train_dataloader['dataset'])
"""
    config.write_text(config.read_text() + wrapped)
    with DefaultScope.overwrite_default_scope('mmengine'):
        (run,) = prepare(plan_of(config)[:1])
    assert run.budget['train_images'] == 24


def test_all_runs_of_a_plan_share_the_data_hash_and_differ_in_config_hash(config):
    prepared = prepare(plan_of(config, seeds=2))
    assert len({item.data_hash for item in prepared}) == 1
    assert len({item.config_hash for item in prepared}) == 4


def test_a_changed_file_size_changes_the_data_hash(config, tmp_path):
    before = prepare(plan_of(config))[0].data_hash
    (tmp_path / 'data/y/images/1.jpg').write_bytes(b'another picture')
    assert prepare(plan_of(config))[0].data_hash != before


def test_the_groups_hash_follows_the_sequences_and_patients_of_the_sites(
    config, tmp_path
):
    def groups(*rows):
        lines = ['site,image,sequence,patient', *rows]
        (tmp_path / 'data/index.csv').write_text('\n'.join(lines) + '\n')
        return prepare(plan_of(config)[:1])[0].groups_hash

    assert prepare(plan_of(config)[:1])[0].groups_hash == ''
    unknown = [f'y,{n}.jpg,,' for n in range(10)]
    assert groups(*unknown) == groups(*unknown, 'z,1.jpg,video,') == ''
    known = [f'y,{n}.jpg,,{n // 2}' for n in range(10)]
    assert groups(*known) == groups(*reversed(known)) != ''
    assert groups(*known) != groups(*known[:-1], 'y,9.jpg,,9')


def test_a_record_holds_config_budget_data_hash_and_versions(config):
    item = prepare(plan_of(config), processes=2)[1]
    record = item.record(metrics={'mDice_fg': 0.5}, duration_s=3.0)
    assert record.key == ('a', 'y', 0, 'validation')
    assert record.config == str(config)
    assert record.budget['batch_size'] == 4
    assert record.data_hash == item.data_hash
    assert record.versions['torch'].startswith('torch ')
    assert set(installed_versions()) >= {'python', 'mmseg', 'mmcv', 'mcdrl_mmseg'}


def test_the_model_hash_is_the_same_for_every_fold_and_seed(config):
    found = {item.record().model_hash for item in prepare(plan_of(config, seeds=2))}
    assert found == {model_hash(dict(width=1))}
    (wider, _) = prepare(plan_of(config, **{'model.width': 2}))
    assert wider.model_hash == model_hash(dict(width=2)) not in found


def test_a_finished_run_with_other_settings_or_data_is_refused(config, tmp_path):
    record = prepare(plan_of(config))[0].record()
    same, changed = (
        prepare(plan_of(config))[0],
        prepare(plan_of(config, **{'model.width': 2}))[0],
    )
    same.check_record(record)
    with pytest.raises(ProtocolError, match='recorded with other settings'):
        changed.check_record(record)
    (tmp_path / 'data/y/images/1.jpg').write_bytes(b'another picture')
    with pytest.raises(ProtocolError, match='recorded with other data'):
        prepare(plan_of(config))[0].check_record(record)


def test_options_of_a_method_are_merged_into_its_config(config):
    cfg = load_method(Method('a', str(config), {'model.width': None}))
    assert cfg.model.width is None


def test_a_broken_config_is_one_clear_error(config):
    config.write_text('x = 1 / 0')
    with pytest.raises(ProtocolError, match=r'a: .*c\.py cannot be loaded: ZeroDiv'):
        load_method(Method('a', str(config)))


def test_a_missing_mask_is_reported_with_its_run(config, tmp_path):
    (tmp_path / 'data/x/masks/1.png').unlink()
    with pytest.raises(ProtocolError, match=r'a/y/seed0: .*1'):
        prepare(plan_of(config)[1:])


COMMAND = """
import sys
from mcdrl_lab.plans import executor, plan_command
from mcdrl_lab.commands import main

class Executor:
    def __init__(self, plan, *args, **kwargs):
        self.plan = plan

    def execute(self):
        runs = [str(item.run) for item in self.plan]
        print(*runs, self.plan[0].cfg.model.width, 'torch' in sys.modules)
        return []

executor.PlanExecutor = Executor
plan_command.show_report = lambda *_: None
raise SystemExit(main(['leave-one-site-out', 'a=c.py', '--seeds', '1', '--out', 'o']))
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere there is no fork server')
def test_the_plan_command_does_not_import_torch_while_runs_continue(config):
    done = subprocess.run(
        [sys.executable, '-c', COMMAND],
        cwd=config.parent,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.splitlines()[-1] == 'a/x/seed0 a/y/seed0 1 False', done.stderr


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'model.width': 2}, 'settings'),
        ({'train_cfg.max_epochs': 4}, r'epochs \(3 and 4\)'),
    ],
)
def test_further_runs_of_a_method_must_have_its_settings_and_budget(
    config, options, words
):
    first, second = (plan_of(config, seeds=2)[n] for n in (0, 3))
    (finished,) = prepare([first])
    records = [finished.record()]
    check_siblings(prepare([second]), records)
    changed = prepare(plan_of(config, seeds=2, **options)[3:])
    check_siblings(changed, [])
    check_siblings(changed, [finished.record(status='failed')])
    with pytest.raises(
        ProtocolError, match=f'a/y/seed1 cannot join .*: a/x/seed0 differs in {words}'
    ):
        check_siblings(changed, records)


def test_other_methods_and_selections_may_have_other_settings(config):
    (item,) = prepare(plan_of(config)[:1])
    other = replace(item.record(), method_hash='x')
    check_siblings([item], [replace(other, method='b')])
    check_siblings([item], [replace(other, selection='oracle')])
    with pytest.raises(ProtocolError, match='settings'):
        check_siblings([item], [other])


def test_the_next_run_must_have_the_data_of_a_finished_run(config, tmp_path):
    first, second = plan_of(config)
    records = [prepare([first])[0].record()]
    (tmp_path / 'data/y/images/1.jpg').write_bytes(b'another picture')
    with pytest.raises(ProtocolError, match='differs in data'):
        check_siblings(prepare([second]), records)


def test_data_that_change_after_the_plan_was_made_are_refused(config, tmp_path):
    index = tmp_path / 'data/index.csv'
    rows = [f'y,{n}.jpg,,{n // 2}' for n in range(10)]
    index.write_text('\n'.join(['site,image,sequence,patient', *rows]))
    items = prepare(plan_of(config))
    for item in items:
        item.check_data()
    known = index.read_text()
    index.write_text(known.replace('y,9.jpg,,4', 'y,9.jpg,,3'))
    with pytest.raises(ProtocolError, match=r'^the sequences or patients .* changed'):
        items[0].check_data()
    index.write_text(known)
    # An image of a site that one run trains on and the other tests on.
    (tmp_path / 'data/y/images/1.jpg').write_bytes(b'another picture')
    for item in items:
        with pytest.raises(ProtocolError, match=r'^the files of its sites changed'):
            item.check_data()


@pytest.fixture
def half_features(monkeypatch, tmp_path):
    monkeypatch.setenv('MCDRL_FEATURE_CACHE', str(tmp_path / 'kept'))
    monkeypatch.setenv('MCDRL_FEATURE_CACHE_PRECISION', 'float16')


def test_half_precision_of_cached_features_is_recorded(config, half_features):
    record = prepare(plan_of(config))[0].record()
    assert record.budget['kept_features'] == 'float16'
    assert RunRecord.from_dict(json.loads(record.to_json())).budget == record.budget


def test_precision_is_not_recorded_without_a_cache_or_in_full_precision(
    config, half_features, monkeypatch
):
    monkeypatch.setenv('MCDRL_FEATURE_CACHE_PRECISION', 'float32')
    assert 'kept_features' not in prepare(plan_of(config))[0].budget
    monkeypatch.setenv('MCDRL_FEATURE_CACHE_PRECISION', 'float16')
    monkeypatch.delenv('MCDRL_FEATURE_CACHE')
    assert 'kept_features' not in prepare(plan_of(config))[0].budget


def test_runs_with_different_precision_of_cached_features_are_never_mixed(
    config, tmp_path, request
):
    first, second = plan_of(config)
    (full,) = prepare([first])
    folder = RunFolder(tmp_path / 'run')
    folder.path.mkdir()
    folder.update(origin=full.origin, checkpoint='best_1.pth')
    request.getfixturevalue('half_features')
    (half,), (other,) = prepare([first]), prepare([second])
    words = r'kept_features \(None and float16\)'
    with pytest.raises(ProtocolError, match=words):
        check_siblings([other], [full.record()])
    with pytest.raises(ProtocolError, match=words):
        merge({'p': [full.record()], 'q': [other.record()]})
    b = replace(half.record(), method='b')
    with pytest.raises(ProtocolError, match='budget: kept_features None against float'):
        check_comparable([full.record()], [b])
    with pytest.raises(ProtocolError, match=r'kept features \(float32, now float16\)'):
        folder.check(half.cfg, half.origin)
    folder.check(full.cfg, full.origin)


@pytest.mark.parametrize(('default', 'read'), [('x', 'x'), ('', 'y')])
def test_mcdrl_held_out_is_read_only_if_the_config_has_no_default(
    tmp_path, monkeypatch, default, read
):
    path = tmp_path / 'config.py'
    path.write_text(f"held_out_site = '{{{{$MCDRL_HELD_OUT:{default}}}}}'\n")
    monkeypatch.setenv('MCDRL_HELD_OUT', 'y')
    assert load_method(Method('m', str(path))).held_out_site == read
