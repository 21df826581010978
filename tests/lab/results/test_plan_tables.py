import math

import pytest
from matplotlib.figure import Figure

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.results.comparison import compare
from mcdrl_lab.results.comparison_tables import (
    comparison_markdown,
    lesion_class_markdown,
    write_comparisons,
)
from mcdrl_lab.results.lesion_classes import compare_by_lesion_class
from mcdrl_lab.results.plan_records import load_records
from mcdrl_lab.results.plan_tables import write_report


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


def test_a_metric_that_is_nowhere_defined_is_passed_over(folder, tmp_path):
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


def test_records_of_failed_runs_only_are_no_results(tmp_path, make_record):
    append_record(tmp_path / 'records.jsonl', make_record(status='failed', error='x'))
    with pytest.raises(ProtocolError, match='no finished run yet'):
        load_records(tmp_path)


def test_comparisons_are_written_as_text_numbers_and_pictures(folder, tmp_path):
    comparisons = compare(load_records(folder), 'a', ['b'])
    names = {path.name for path in write_comparisons(comparisons, tmp_path / 'c')}
    assert names == {
        'compare_a_dice.md',
        'compare_a_dice.csv',
        'effect_a_b_dice.png',
        'effect_a_b_dice.pdf',
    }
    assert '+5.0' in (tmp_path / 'c/compare_a_dice.md').read_text()


@pytest.mark.parametrize('seeds', [1, 2])
def test_the_interval_of_one_seed_is_not_said_to_count_other_seeds(seeds, make_record):
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


def test_comparisons_of_runs_that_the_test_site_chose_are_marked_and_apart(
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
        write_comparisons(found, tmp_path)
    assert titles == ['dice: a - b (points)', 'dice: a † - b † (points)']
    assert (tmp_path / 'effect_a_b-oracle_dice.png').is_file()
    text = (tmp_path / 'compare_a-oracle_dice.md').read_text(encoding='utf-8')
    assert text.startswith('## a † against b †, dice\n')
    assert '- † checkpoints chosen on the held-out site itself (oracle)' in text
    assert '†' not in (tmp_path / 'compare_a_dice.md').read_text(encoding='utf-8')
    classes = compare_by_lesion_class(records, 'a', ['b'], selection='oracle')
    assert lesion_class_markdown(classes).startswith('## a † against b †, dice, by')
