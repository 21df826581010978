import os

import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.plan import parse_method
from mcdrl_lab.plans.records import append_record


def test_a_method_is_named_by_the_user_or_by_its_file(tmp_path):
    config = tmp_path / 'net_5e_sites_heldout-polypgen-c1.py'
    config.write_text('')
    assert parse_method(str(config)).name == 'net_5e_sites'
    named = parse_method(f'mine={config}')
    assert (named.name, named.config) == ('mine', str(config))
    with pytest.raises(ProtocolError, match='no config file'):
        parse_method('mine=none.py')


@pytest.mark.parametrize('command', ['leave-one-site-out', 'ablation'])
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, '--help'])
    assert end.value.code == 0
    assert f'Example: python -m mcdrl_lab {command} ' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'error: at least one config is needed, see --help.'),
        (['none.py'], "error: none: no config file 'none.py'."),
        (
            ['{config}', '--seeds', '0'],
            'error: --seeds 0: expected the number of seeds',
        ),
        (['{config}', '--seeds', '5-3'], 'error: --seeds 5-3: expected the number of'),
        (['{config}', '--slurm', 'time=1'], 'error: --slurm needs --engine slurm.'),
        (
            ['{config}', '--engine', 'slurm', '--devices', '0'],
            'error: --devices: with --engine slurm',
        ),
        (['{config}', '--sites', 'z'], "error: --sites: unknown ['z']; the config has"),
        (
            ['--sites', 'x', 'a={config}'],
            'error: --sites took a={config}, which looks like a config to run: put all',
        ),
        # Otherwise the plan would lack one method without an error.
        (
            ['a={config}', '--cfg-options', 'x.y=1', 'b={config}'],
            'error: --cfg-options took b={config}, which looks like a config to run:',
        ),
    ],
)
def test_unusable_arguments_end_with_a_one_line_error(
    arguments, message, tmp_path, capsys
):
    config = tmp_path / 'c.py'
    config.write_text("sites = ['x', 'y']")
    arguments = [text.format(config=config) for text in arguments]
    assert main(['leave-one-site-out', *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(message.format(config=config))
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('p.yml', 'config: c.py\nvariants: [{name: a}]\n'),
        ('p.YAML', 'sweeps: [{name: a, key: b.c, values: [1]}]\n'),
    ],
)
def test_an_ablation_plan_given_as_a_config_is_reported_with_the_right_command(
    tmp_path, capsys, name, text
):
    plan = tmp_path / name
    plan.write_text(text)
    for argument in (str(plan), f'mine={plan}'):
        assert main(['leave-one-site-out', argument]) == 2
        assert capsys.readouterr().err == (
            f'error: {plan} is an ablation plan, not a config: run it with python -m '
            f'mcdrl_lab ablation {plan}\n'
        )


@pytest.mark.parametrize('text', ['sites: [x, y]\n', '{', '- variants\n'])
def test_other_yaml_files_are_not_taken_for_an_ablation_plan(tmp_path, capsys, text):
    config = tmp_path / 'c.yml'
    config.write_text(text)
    assert main(['leave-one-site-out', str(config)]) == 2
    assert 'ablation' not in capsys.readouterr().err


@pytest.fixture
def plan_file(tmp_path):
    """An ablation plan of two variants of a config that names its sites."""
    (tmp_path / 'c.py').write_text("sites = ['x', 'y']")
    path = tmp_path / 'plan.yml'
    path.write_text('config: c.py\nvariants: [{name: full}, {name: none}]\n')
    return path


def test_a_dry_run_lists_the_runs_and_does_nothing(plan_file, capsys):
    config, out = plan_file.with_name('c.py'), plan_file.with_name('out')
    arguments = ['--seeds', '2', '--sites', 'y', '--dry-run', '--out', str(out)]
    assert main(['leave-one-site-out', f'm={config}', *arguments]) == 0
    assert capsys.readouterr().out.split() == ['m/y/seed0', 'm/y/seed1']
    assert main(['ablation', str(plan_file), *arguments, '--oracle']) == 0
    assert capsys.readouterr().out.split() == [
        f'{name}-oracle/y/seed{seed}' for seed in (0, 1) for name in ('full', 'none')
    ]
    assert not out.exists()


def test_some_variants_of_a_plan_can_be_run_alone(plan_file, capsys):
    arguments = ['ablation', str(plan_file), '--seeds', '1', '--sites', 'y']
    assert main([*arguments, '--dry-run', '--variants', 'none']) == 0
    assert capsys.readouterr().out.split() == ['none/y/seed0']
    assert main([*arguments, '--dry-run', '--variants', 'none', 'nome']) == 2
    assert capsys.readouterr().err == (
        "error: --variants: unknown ['nome']; the plan has ['full', 'none'].\n"
    )


def test_a_site_that_is_named_twice_is_run_once(plan_file, capsys):
    config = plan_file.with_name('c.py')
    arguments = ['--seeds', '1', '--sites', 'y', 'x', 'y', '--dry-run']
    assert main(['leave-one-site-out', f'm={config}', *arguments]) == 0
    assert capsys.readouterr().out.split() == ['m/y/seed0', 'm/x/seed0']


def test_a_range_of_seeds_can_be_run_as_a_shard_of_a_plan(plan_file, capsys):
    config = plan_file.with_name('c.py')
    arguments = ['--seeds', '3-4', '--sites', 'y', '--dry-run']
    assert main(['leave-one-site-out', f'm={config}', *arguments]) == 0
    assert capsys.readouterr().out.split() == ['m/y/seed3', 'm/y/seed4']


@pytest.mark.parametrize(
    ('options', 'precision'), [([], None), (['--half-features'], 'float16')]
)
def test_feature_cache_folder_and_precision_are_passed_to_every_run(
    plan_file, monkeypatch, options, precision
):
    told = []

    class Executor:
        def __init__(self, *args, **kwargs):
            pass

        def execute(self):
            folder = os.environ['MCDRL_FEATURE_CACHE']
            told.append((folder, os.environ.get('MCDRL_FEATURE_CACHE_PRECISION')))
            return []

    monkeypatch.setattr('mcdrl_lab.plans.executor.PlanExecutor', Executor)
    monkeypatch.setattr('mcdrl_lab.plans.prepared.prepare', lambda *_: [])
    monkeypatch.setattr('mcdrl_lab.plans.plan_command.show_report', lambda *_: None)
    monkeypatch.setenv('MCDRL_FEATURE_CACHE', 'restored after this test')
    monkeypatch.setenv('MCDRL_FEATURE_CACHE_PRECISION', 'likewise')
    monkeypatch.delenv('MCDRL_FEATURE_CACHE_PRECISION')
    monkeypatch.chdir(plan_file.parent)
    arguments = ['--feature-cache', 'kept', '--out', 'out', *options]
    assert main(['ablation', str(plan_file), *arguments]) == 0
    assert told == [(str(plan_file.parent / 'kept'), precision)]


def test_half_features_without_a_feature_cache_is_refused(plan_file, capsys):
    assert main(['ablation', str(plan_file), '--half-features']) == 2
    assert '--half-features: choose the folder' in capsys.readouterr().err


def test_tables_are_made_again_from_the_records_alone(tmp_path, two_methods, capsys):
    for record in two_methods:
        append_record(tmp_path / 'records.jsonl', record)
    arguments = ['--tables-only', '--out', str(tmp_path), '--metrics', 'dice']
    assert main(['leave-one-site-out', *arguments]) == 0
    assert f'Tables and plots are in {tmp_path}.' in capsys.readouterr().out
    assert (tmp_path / 'table_dice.md').is_file()
