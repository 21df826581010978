import math
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.results.comparison import compare
from mcdrl_lab.results.comparison_tables import (
    ComparisonFiles,
    comparison_markdown,
    lesion_class_markdown,
    write_comparisons,
)
from mcdrl_lab.results.lesion_classes import compare_by_lesion_class
from mcdrl_lab.results.plan_records import load_records
from mcdrl_lab.results.plan_tables import write_report

RUNS = {'a': 'a (x)', 'b': 'b (y)'}


@pytest.fixture
def folder(tmp_path, two_methods):
    for record in two_methods:
        append_record(tmp_path / 'records.jsonl', record)
    return tmp_path


def test_tables_and_plots_come_from_the_records_alone(folder, tmp_path):
    out = tmp_path / 'report'
    names = {path.name for path in write_report(load_records(folder), out)}
    assert names == {path.name for path in out.iterdir()}
    assert names >= {
        'table_dice.md',
        'table_dice.csv',
        'table_dice.tex',
        'table_dice_all.md',
        'boxplot_dice.png',
        'boxplot_dice.pdf',
        'table_hd95.md',
    }


def test_a_metric_that_is_undefined_everywhere_is_skipped(folder, tmp_path):
    paths = write_report(
        load_records(folder), tmp_path / 'r', ['nsd', 'false_positive']
    )
    assert paths == []


def test_summary_metrics_get_a_table_and_no_box_plot(tmp_path, make_record):
    records = [make_record(metrics={'site/x/mDice_fg': 0.5, 'y': math.nan})]
    paths = write_report(records, tmp_path, ['site/x/mDice_fg'])
    assert [p.name for p in paths] == [
        f'table_site_x_mDice_fg{ending}' for ending in ('.md', '.csv', '.tex')
    ]


def test_records_are_found_by_file_or_folder(folder):
    assert load_records(folder) == load_records(folder / 'records.jsonl')
    with pytest.raises(ProtocolError, match=r'no records in .*none'):
        load_records(folder / 'none')


def test_records_of_failed_runs_alone_are_refused(tmp_path, make_record):
    append_record(tmp_path / 'records.jsonl', make_record(status='failed', error='x'))
    with pytest.raises(ProtocolError, match='no finished run yet'):
        load_records(tmp_path)


def test_comparisons_are_written_as_text_numbers_and_pictures(folder, tmp_path):
    comparisons = compare(load_records(folder), 'a', ['b'])
    files = ComparisonFiles(tmp_path / 'c', 'a', ['b'], 'dice', 'validation', RUNS)
    names = {path.name for path in write_comparisons(comparisons, files)}
    assert names == {
        'compare_a_b_dice.md',
        'compare_a_b_dice.csv',
        'effect_a_b_dice.png',
        'effect_a_b_dice.pdf',
    }
    assert '+5.0' in (tmp_path / 'c/compare_a_b_dice.md').read_text()


@pytest.mark.parametrize('seeds', [1, 2])
def test_the_notes_on_intervals_differ_between_one_seed_and_several(seeds, make_record):
    records = [
        make_record(name, seed=seed, dice=(0.3, 0.5))
        for name in ('a', 'b')
        for seed in range(seeds)
    ]
    (found,) = compare(records, 'a', ['b'])
    by_class = lesion_class_markdown(compare_by_lesion_class(records, 'a', ['b']))
    for text in (comparison_markdown(found), by_class):
        assert ('- One seed only' in text) == (seeds == 1)
        assert ('how much other seeds would change' in text) == (seeds == 2)
        assert 'The Wilcoxon test looks at these sequences' in text


def test_comparisons_of_oracle_runs_are_marked_and_have_files_of_their_own(
    tmp_path, make_record, monkeypatch
):
    titles = []
    monkeypatch.setattr(
        'mcdrl_lab.results.plots.effect_plot',
        lambda effects, title: titles.append(title) or Figure(),
    )
    records = [
        make_record(name, dice=(0.3, 0.5), selection=selection)
        for name in ('a', 'b')
        for selection in ('validation', 'oracle')
    ]
    for selection in ('validation', 'oracle'):
        found = compare(records, 'a', ['b'], selection=selection)
        files = ComparisonFiles(tmp_path, 'a', ['b'], 'dice', selection, RUNS)
        write_comparisons(found, files)
    assert titles == ['dice: a - b (points)', 'dice: a † - b † (points)']
    assert (tmp_path / 'effect_a_b-oracle_dice.png').is_file()
    text = (tmp_path / 'compare_a_b-oracle_dice.md').read_text(encoding='utf-8')
    assert text.startswith('## a † against b †, dice\n')
    assert '- † checkpoints chosen on the held-out site itself (oracle)' in text
    assert '†' not in (tmp_path / 'compare_a_b_dice.md').read_text(encoding='utf-8')
    classes = compare_by_lesion_class(records, 'a', ['b'], selection='oracle')
    assert lesion_class_markdown(classes).startswith('## a † against b †, dice, by')


@pytest.fixture
def compare_command(tmp_path, make_record, capsys):
    """Runs ``compare`` into one folder; returns the exit code and the output."""

    def run(*words, seeds=(0, 1), **values):
        records = tmp_path / 'plan/records.jsonl'
        records.unlink(missing_ok=True)
        for name, gain in (('a', 0.1), ('b', 0.0), ('c', 0.2)):
            for seed in seeds:
                dice = (0.3 + gain, 0.5 + gain)
                append_record(records, make_record(name, 's1', seed, dice, **values))
        code = main(['compare', str(records), *words, '--out', str(tmp_path / 'c')])
        return code, capsys.readouterr()

    return run


def texts(folder):
    return {p.name: p.read_text(encoding='utf-8') for p in folder.glob('compare_*')}


def test_comparisons_with_other_methods_have_files_of_their_own(
    compare_command, tmp_path
):
    assert not compare_command('a', 'b')[0]
    before = texts(tmp_path / 'c')
    for words in (['a', 'c'], ['a', 'b', 'c'], ['a', 'b', '--by-lesion-class']):
        assert not compare_command(*words)[0]
    after = texts(tmp_path / 'c')
    assert {name: after[name] for name in before} == before
    assert sorted(after) == [
        f'compare_{name}{ending}'
        for name in ('a_b_c_dice', 'a_b_dice', 'a_b_dice_by_lesion_class', 'a_c_dice')
        for ending in ('.csv', '.md')
    ]


def test_file_names_of_long_or_many_methods_stay_short_and_distinct():
    def path(*others):
        files = ComparisonFiles(Path(), 'a' * 150, others, 'dice', 'oracle', {})
        return files.path('.md').name

    assert len(path('b' * 200)) < 255
    assert len({path('b' * 200), path('b' * 199), path('b' * 200, 'c')}) == 3
    assert '_and_2_others_' in path('b', 'c')


def test_a_comparison_is_replaced_after_the_plan_has_grown(compare_command, tmp_path):
    assert not compare_command('a', 'b', seeds=[0])[0]
    first = texts(tmp_path / 'c')
    assert not compare_command('a', 'b', seeds=[0, 1])[0]
    assert texts(tmp_path / 'c') != first


@pytest.mark.parametrize(
    'change', [dict(data_hash='e' * 64), dict(method_hash='f' * 64)]
)
def test_a_comparison_of_other_runs_is_replaced_only_on_request(
    compare_command, tmp_path, change
):
    assert not compare_command('a', 'b')[0]
    before = texts(tmp_path / 'c')
    code, said = compare_command('a', 'b', **change)
    assert code == 2
    assert (
        'compare_a_b_dice.md compares other runs with these names (Runs: ' in said.err
    )
    assert '--overwrite' in said.err and not said.out
    assert texts(tmp_path / 'c') == before
    assert not compare_command('a', 'b', '--overwrite', **change)[0]
    assert texts(tmp_path / 'c') != before


def test_a_file_that_is_not_a_comparison_is_kept_and_an_older_one_is_replaced(
    compare_command, tmp_path
):
    (tmp_path / 'c').mkdir()
    path = tmp_path / 'c/compare_a_b_dice.md'
    path.write_text('mine')
    code, said = compare_command('a', 'b', '--overwrite')
    assert code == 2 and 'is not a comparison. It is not replaced' in said.err
    assert path.read_text() == 'mine'
    path.write_text('## a against b, dice\n')
    assert not compare_command('a', 'b')[0]
    assert path.read_text().endswith(
        'Runs: a (data dddddddddddd; a.py), b (data dddddddddddd; b.py)\n'
    )


def pictures(folder):
    return {path.name: path.read_bytes() for path in folder.glob('effect_*')}


def test_the_picture_of_other_runs_is_replaced_only_on_request(
    compare_command, tmp_path
):
    assert not compare_command('a', 'b', 'c')[0]
    before = pictures(tmp_path / 'c')
    assert len(before) == 4
    code, said = compare_command('a', 'b', data_hash='e' * 64, seeds=[0])
    assert code == 2 and not said.out
    assert 'c/effect_a_b_dice.png was made with a (data d' in said.err
    assert '--overwrite' in said.err
    assert pictures(tmp_path / 'c') == before
    assert not texts(tmp_path / 'c').keys() & {'compare_a_b_dice.md'}
    words = ('a', 'b', '--overwrite')
    assert not compare_command(*words, data_hash='e' * 64, seeds=[0])[0]
    after = pictures(tmp_path / 'c')
    assert after.keys() == before.keys()
    assert after['effect_a_c_dice.png'] == before['effect_a_c_dice.png']


def test_a_picture_can_be_replaced_after_the_plan_has_grown(compare_command, tmp_path):
    assert not compare_command('a', 'b', 'c')[0]
    assert not compare_command('a', 'b')[0]
    picture = tmp_path / 'c/effect_a_c_dice.pdf'
    before = picture.stat().st_mtime_ns
    assert not compare_command('a', 'c', seeds=[0, 1, 2])[0]
    assert picture.stat().st_mtime_ns > before


@pytest.mark.parametrize('name', ['effect_a_b_dice.pdf', 'compare_a_b_dice.csv'])
def test_tables_and_pictures_not_written_by_compare_are_left_alone(
    compare_command, tmp_path, name
):
    (tmp_path / 'c').mkdir()
    (tmp_path / 'c' / name).write_text('mine')
    code, said = compare_command('a', 'b', '--overwrite')
    assert code == 2 and f'c/{name}, not written here by an earlier' in said.err
    assert [path.name for path in (tmp_path / 'c').iterdir()] == [name]
    assert (tmp_path / 'c' / name).read_text() == 'mine'


def test_a_command_interrupted_while_drawing_can_be_run_again(
    compare_command, tmp_path, monkeypatch
):
    draw = Figure.savefig

    def stopped(figure, path, **options):
        if path.suffix == '.pdf':
            raise KeyboardInterrupt
        draw(figure, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Figure, 'savefig', stopped)
        assert compare_command('a', 'b')[0] == 130
    assert pictures(tmp_path / 'c').keys() == {'effect_a_b_dice.png'}
    assert not compare_command('a', 'b')[0]


def test_a_comparison_that_was_edited_is_left_alone(compare_command, tmp_path):
    assert not compare_command('a', 'b')[0]
    path = tmp_path / 'c/compare_a_b_dice.md'
    with open(path, 'a', encoding='utf-8') as file:
        file.write('So b is better.\n')
    code, said = compare_command('a', 'b')
    assert code == 2 and 'changed since' in said.err
    assert path.read_text(encoding='utf-8').endswith('So b is better.\n')
