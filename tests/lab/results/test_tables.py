import csv
import dataclasses
import math

import pytest

from mcdrl_lab.results.tables import (
    latex,
    readable_table,
    result_table,
    write_tables,
)
from mcdrl_lab.results.text_cells import markdown


def test_means_and_standard_errors_over_seeds_match_hand_worked_values(two_methods):
    table = result_table(two_methods, 'dice')
    row = table.loc[('b', 'validation')]
    # Seed means 40 and 50 at both sites: mean 45, error sqrt(50 / 2) = 5.
    assert row['s1'] == row['s2'] == row['mean'] == pytest.approx(45.0)
    assert row['s1_stderr'] == row['mean_stderr'] == pytest.approx(5.0)
    assert table.loc[('a', 'validation'), 'mean'] == pytest.approx(50.0)
    assert row['seeds'] == 2


def test_the_error_of_the_mean_is_computed_from_seed_means_over_sites(make_record):
    # Opposite seeds cancel in the mean over sites: seed means 50 and 50.
    dice = {('s1', 0): 0.4, ('s1', 1): 0.6, ('s2', 0): 0.6, ('s2', 1): 0.4}
    records = [make_record('a', *key, [value]) for key, value in dice.items()]
    row = result_table(records).loc[('a', 'validation')]
    assert row['s1_stderr'] == pytest.approx(10.0)
    assert row['mean_stderr'] == pytest.approx(0.0, abs=1e-9)


def test_the_worst_site_is_named_with_its_own_values(make_record):
    records = [
        make_record('a', 's1', 0, [0.8]),
        make_record('a', 's2', 0, [0.3]),
        make_record('a', 's3', 0, [0.5]),
    ]
    row = result_table(records).loc[('a', 'validation')]
    assert (row['worst_site'], row['worst']) == ('s2', pytest.approx(30.0))


def test_the_worst_site_of_a_distance_has_the_largest_value(make_record, make_image):
    records = [
        make_record('a', site, images=[{**make_image('i', 0.5), 'hd95': distance}])
        for site, distance in (('s1', 3.0), ('s2', 9.0))
    ]
    row = result_table(records, 'hd95').loc[('a', 'validation')]
    assert (row['worst_site'], row['worst']) == ('s2', 9.0)


def test_a_method_that_lacks_a_site_has_no_mean(make_record):
    records = [
        make_record('a', 's1', 0, [0.8]),
        make_record('a', 's2', 0, [0.3]),
        make_record('b', 's1', 0, [0.9]),
        make_record('b', 's2', 0, [], status='failed', error='x'),
    ]
    row = result_table(records).loc[('b', 'validation')]
    assert row['s1'] == pytest.approx(90.0)
    assert math.isnan(row['s2'])
    assert math.isnan(row['mean'])
    assert math.isnan(row['worst'])
    assert row['seeds'] == 0


def test_a_site_where_the_metric_is_undefined_for_all_has_no_column(make_record):
    records = [make_record('a', 's1', dice=[None]), make_record('a', 's2', dice=[0.5])]
    table = result_table(records, 'false_positive')
    assert 's2' not in table.columns
    assert table['mean'].tolist() == [100.0]


def test_cells_hold_mean_and_error_and_a_dash_where_undefined(make_record):
    records = [
        make_record('a', 's1', 0, [0.8]),
        make_record('a', 's1', 1, [0.6]),
        make_record('b', 's1', 0, [0.5]),
        make_record('b', 's2', 0, [0.5]),
    ]
    cells = readable_table(result_table(records))
    assert cells.loc['a'].to_dict() == {
        's1': '70.0 ± 10.0',
        's2': '\u2013',
        'mean': '\u2013',
        'worst': '\u2013',
        'seeds': '0',
    }
    assert cells.loc['b', 's1'] == '50.0'


def test_oracle_runs_get_a_row_of_their_own_with_a_mark(make_record, tmp_path):
    records = [make_record(dice=[0.5]), make_record(dice=[0.9], selection='oracle')]
    cells = readable_table(result_table(records))
    assert cells['s1'].to_dict() == {'a': '50.0', 'a †': '90.0'}
    paths = write_tables(records, tmp_path)
    assert '† checkpoint chosen on the held-out site' in paths[0].read_text()
    assert r'$^{\dagger}$' in paths[2].read_text()


def test_without_oracle_runs_there_is_no_footnote(two_methods, tmp_path):
    text = write_tables(two_methods, tmp_path)[0].read_text()
    assert '†' not in text


def test_markdown_is_a_table_with_aligned_columns(two_methods):
    lines = markdown(readable_table(result_table(two_methods))).splitlines()
    assert lines[0].startswith('| method |')
    assert set(lines[1]) <= set('|-: ')
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert {line.count('|') for line in lines} == {7}


def test_latex_is_a_tabular_with_escaped_names(make_record):
    records = [make_record('a_b', 'site_1', seed, [0.5]) for seed in (0, 1)]
    text = latex(readable_table(result_table(records)))
    assert r'\begin{tabular}{lrrrr}' in text
    assert r'a\_b & 50.0 $\pm$ 0.0 &' in text
    assert r'site\_1' in text
    assert text.count('{') == text.count('}')


def test_csv_holds_plain_numbers(two_methods, tmp_path):
    path = write_tables(two_methods, tmp_path)[1]
    rows = list(csv.DictReader(path.open()))
    assert [row['method'] for row in rows] == ['a', 'b']
    assert float(rows[0]['s1']) == pytest.approx(55.0)
    assert float(rows[0]['s1_stderr']) == pytest.approx(5.0)
    assert rows[0]['worst_site'] == 's2'


def test_tables_written_again_have_the_same_bytes(two_methods, tmp_path):
    first = [p.read_bytes() for p in write_tables(two_methods, tmp_path)]
    assert first == [p.read_bytes() for p in write_tables(two_methods, tmp_path)]


def test_site_names_that_differ_after_a_dot_have_table_files_of_their_own(
    two_methods, tmp_path
):
    records = [
        dataclasses.replace(
            record,
            metrics={'site/st.mary/mDice_fg': 0.25, 'site/st.john/mDice_fg': 0.75},
        )
        for record in two_methods
    ]
    names = ('site/st.mary/mDice_fg', 'site/st.john/mDice_fg')
    paths = [path for name in names for path in write_tables(records, tmp_path, name)]
    assert len({*paths}) == 6
    assert 'site/st.mary/mDice_fg' in paths[0].read_text()
