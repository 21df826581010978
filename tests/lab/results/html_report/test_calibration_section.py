import math

from mcdrl_lab.results.html_report.calibration_section import (
    calibration_table,
    reliability_figure,
)
from mcdrl_lab.results.text_cells import MISSING


def calibrated(make_record, site, seed=0, ece=0.1, border=0.3):
    scores = dict(ECE=ece, ACE=ece, Brier=0.02)
    scores |= dict(ECE_border=border, ACE_border=border, Brier_border=0.2)
    diagram = dict(pixels=[4, 0], probability=[0.2, None], lesion=[0.5, None])
    parts = dict(all=diagram, border=diagram)
    return make_record(
        held_out=site, seed=seed, metrics=scores, sites={site: dict(calibration=parts)}
    )


def test_table_has_means_over_seeds_and_over_sites_in_per_cent(make_record):
    table = calibration_table(
        'mcdrl',
        [
            calibrated(make_record, 's1', 0, ece=0.1),
            calibrated(make_record, 's1', 1, ece=0.3),
            calibrated(make_record, 's2', 0, ece=0.4),
        ],
    )
    cells = {row[0]: dict(zip(table.columns, row)) for row in table.rows}
    assert cells['s1']['ECE (%)'] == '20.0'
    assert cells['s2']['ECE at borders (%)'] == '30.0'
    assert cells['mean of sites']['ECE (%)'] == '30.0'


def test_site_without_border_scores_has_a_dash_and_is_in_no_mean(make_record):
    records = [
        calibrated(make_record, 's1', border=math.nan),
        calibrated(make_record, 's2', border=0.2),
    ]
    cells = {row[0]: row for row in calibration_table('m', records).rows}
    column = calibration_table('m', records).columns.index('ECE at borders (%)')
    assert cells['s1'][column] == MISSING
    assert cells['mean of sites'][column] == '20.0'


def test_diagram_has_a_line_for_each_site_and_leaves_out_empty_bins(make_record):
    records = [calibrated(make_record, site) for site in ('s1', 's2')]
    figure = reliability_figure(records)
    lines = [line for line in figure.axes[0].lines if line.get_label() in ('s1', 's2')]
    assert [list(line.get_xydata()[0]) for line in lines] == [[0.2, 0.5]] * 2
    assert all(len(line.get_xydata()) == 1 for line in lines)


def test_older_records_have_neither_a_table_nor_a_diagram(make_record):
    assert calibration_table('m', [make_record()]) is None
    assert reliability_figure([make_record()]) is None
