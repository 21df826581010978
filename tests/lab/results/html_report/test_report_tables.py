import pytest

from mcdrl_lab.results.comparison import compare
from mcdrl_lab.results.html_report import report_tables as tables
from mcdrl_lab.results.html_report.report_source import ReportSource
from mcdrl_lab.results.text_cells import MISSING


def rows(table):
    """Row name -> column -> cell."""
    return {row[0]: dict(zip(table.columns, row)) for row in table.rows}


def test_results_are_means_by_site_and_over_sites(make_record):
    records = [
        make_record(dice=(0.2, 0.6, None)),
        make_record(held_out='s2', dice=(0.8, 0.8)),
    ]
    cells = rows(tables.results_table('mcdrl', records))
    dice = 'Dice (%), 95 % interval'
    assert cells['s1'][dice].startswith('40.0 (')
    assert cells['s1']['median'] == '40.0'
    # 0.2 / 1.8 and 0.6 / 1.4 have the mean 0.26984.
    assert cells['s1']['IoU (%)'] == '27.0'
    assert cells['s1']['false positives (%)'] == '100.0'
    # 0.2, 0.6 and 0 for the lesion-free image with a false positive.
    assert cells['s1']['Dice, all images (%)'] == '26.7'
    assert cells['s2']['Dice, all images (%)'] == '80.0'
    assert cells['mean of sites']['Dice, all images (%)'] == '53.3'
    assert cells['s2']['false positives (%)'] == MISSING
    assert (cells['s1']['images'], cells['s1']['of them without lesion']) == ('3', '1')
    # Two equal images do not show how much others would differ.
    assert cells['s2'][dice] == '80.0'
    assert cells['mean of sites'][dice].startswith('60.0 (')
    assert cells['mean of sites']['images'] == '5'


def test_interval_of_a_share_stays_within_0_to_100_per_cent(make_record):
    cells = rows(tables.results_table('m', [make_record(dice=(0.0, 1.0))]))
    assert cells['s1']['Dice (%), 95 % interval'] == '50.0 (0.0 to 100.0)'


def test_single_image_has_no_interval_and_a_single_site_no_mean(make_record):
    table = tables.results_table('m', [make_record(dice=(0.5,))])
    assert rows(table)['s1']['Dice (%), 95 % interval'] == '50.0'
    assert [row[0] for row in table.rows] == ['s1']


def test_site_without_lesion_has_no_dice(make_record):
    cells = rows(tables.results_table('m', [make_record(dice=(None, None))]))
    assert cells['s1']['Dice (%), 95 % interval'] == MISSING
    assert cells['s1']['false positives (%)'] == '100.0'


def test_images_are_counted_once_whatever_the_number_of_seeds(make_record):
    records = [make_record(seed=seed) for seed in range(3)]
    cells = rows(tables.results_table('m', records))
    assert (cells['s1']['images'], cells['s1']['seeds']) == ('2', '3')


def test_summary_names_the_lowest_site(make_record):
    records = [make_record(dice=(0.2,)), make_record(held_out='s2', dice=(0.6,))]
    summary = tables.summary('mcdrl', records)
    assert (summary['dice'], summary['sites']) == ('40.0', '2')
    assert summary['worst'] == 's1 (20.0 %)'


def test_oracle_runs_are_rows_of_their_own(make_record):
    records = [
        make_record(),
        make_record(selection='oracle'),
        make_record(status='failed', error='x'),
    ]
    groups = tables.by_method(records)
    assert {name: len(runs) for name, runs in groups.items()} == {
        'mcdrl': 1,
        'mcdrl †': 1,
    }


def test_comparison_has_signs_and_intervals(make_record):
    records = [
        make_record('a', dice=(0.3, 0.5)),
        make_record('b', dice=(0.1, 0.4)),
    ]
    (comparison,) = compare(records, 'a', ['b'])
    cells = rows(tables.comparison_table(comparison))
    assert cells['s1']['difference (points)'] == '+15.0'
    # One of the two images is drawn: 15 +- 5, times 12.706 / 1.960.
    assert cells['s1']['95 % interval'] == '-17.4 to +47.4'
    assert (cells['s1']['a'], cells['s1']['b']) == ('40.0', '25.0')


def test_comparison_of_oracle_runs_is_marked(make_record):
    records = [
        make_record(name, dice=(0.3, 0.5), selection='oracle') for name in ('a', 'b')
    ]
    (comparison,) = compare(records, 'a', ['b'], selection='oracle')
    assert tables.comparison_table(comparison).caption == 'a † against b †, Dice'


def test_images_without_a_labelled_pixel_do_not_count_as_lesion_free(
    make_record, make_image
):
    unlabelled = {
        **make_image('u.jpg', None),
        **dict(false_positive=None, false_area=None),
    }
    images = [make_image('a.jpg', 0.5), make_image('c.jpg', None), unlabelled]
    records = [make_record(images=images)]
    assert rows(tables.data_table(records))['s1']['without lesion'] == '1'
    own = rows(tables.results_table('mcdrl', records))['s1']
    assert (own['images'], own['of them without lesion']) == ('3', '1')


def test_data_are_described_from_the_records(make_record, make_image):
    images = [
        make_image('a.jpg', 0.5, sequence='v1'),
        make_image('b.jpg', 0.5, sequence='v1'),
        make_image('c.jpg', None, sequence='v2'),
    ]
    records = [make_record(images=images), make_record(held_out='s2', dice=(0.5,))]
    cells = rows(tables.data_table(records))
    assert cells['s1'] == {
        'site': 's1',
        'images': '3',
        'without lesion': '1',
        'lesion types': 'polyp',
        # 3 + 2 of 100 pixels.
        'lesion area, median (% of image)': '5.0',
        'sequences': '2',
    }
    assert cells['s2']['sequences'] == 'unknown'


@pytest.fixture
def source(tmp_path, make_record):
    records = [
        make_record(),
        make_record(seed=1, images=[], status='failed', error='RuntimeError: no'),
    ]
    return ReportSource(tmp_path, records, {}, is_plan=True)


def test_every_run_is_listed_with_its_error(source):
    table = tables.runs_table(source)
    assert [row[2] for row in table.rows] == ['0', '1']
    assert table.rows[0][3:] == ['40.0', '1.5', 'epochs 5', 'done']
    assert table.rows[1][-1] == 'failed: RuntimeError: no'


def test_all_versions_of_different_runs_are_listed(make_record):
    records = [make_record(), make_record(versions={'torch': 'torch 2.1'})]
    table = tables.versions_table(records, {'torch': 'torch 2.2', 'numpy': 'numpy 1'})
    assert table.rows == [
        ['torch', 'torch 2.0, torch 2.1', 'torch 2.2'],
        ['numpy', MISSING, 'numpy 1'],
    ]


def test_commands_are_given_for_runs_whose_config_and_checkpoint_exist(source):
    folder = source.path / 'mcdrl/s1/seed0'
    folder.mkdir(parents=True)
    assert tables.commands(source) == []
    (folder / 'config.py').touch()
    (folder / 'best_mDice_fg_epoch_3.pth').touch()
    assert tables.commands(source) == [
        # In a new work folder: what was recorded is not replaced.
        f'python tools/train.py {folder}/config.py --work-dir {folder}-again',
        f'python tools/test.py {folder}/config.py {folder}/best_mDice_fg_epoch_3.pth '
        f'--work-dir {folder}-again',
    ]


def test_methods_are_shown_side_by_side(make_record):
    groups = {
        'baseline': [
            make_record(dice=(0.2, 0.4)),
            make_record(held_out='s2', dice=(0.5,)),
        ],
        'mcdrl': [make_record(dice=(0.8,))],
    }
    table = tables.side_by_side(groups)
    assert table.columns == ['held-out site', 'baseline', 'mcdrl']
    cells = rows(table)
    assert (cells['s1']['baseline'], cells['s1']['mcdrl']) == ('30.0', '80.0')
    assert (cells['s2']['baseline'], cells['s2']['mcdrl']) == ('50.0', MISSING)
    assert cells['mean of sites']['baseline'] == '40.0'
    # The mean of its only site is not a mean of both sites.
    assert cells['mean of sites']['mcdrl'] == MISSING
    assert tables.side_by_side({'mcdrl': groups['mcdrl']}) is None


def test_data_table_shows_a_dash_if_records_lack_lesion_types(make_record, make_image):
    image = make_image('i0', 0.5)
    for name in ('lesion_classes', 'tp', 'fn'):
        del image[name]
    cells = rows(tables.data_table([make_record(images=[image])]))
    assert cells['s1']['images'] == '1'
    assert cells['s1']['lesion types'] == MISSING
