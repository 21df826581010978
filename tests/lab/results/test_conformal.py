import json

import numpy as np
import pytest

from mcdrl_common.site_reliability import THRESHOLDS
from mcdrl_common.threshold_file import CONFORMAL
from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.results.conformal import (
    controlling_threshold,
    held_out_risks,
    site_curves,
    sites_needed,
    smallest_level,
)

GRID = (0.0, 0.25, 0.5, 0.75, 1.0)
DRAWS = 2000


def test_thresholds_match_hand_worked_risks():
    # Three sites: mean risks 0, 1/15, 0.2, 0.6, 1; (3 r + 1) / 4 is 0.25, 0.3, 0.4 ...
    curves = np.array(
        [
            [0.0, 0.0, 0.1, 0.5, 1.0],
            [0.0, 0.1, 0.2, 0.6, 1.0],
            [0.0, 0.1, 0.3, 0.7, 1.0],
        ]
    )
    assert controlling_threshold(curves, GRID, 0.25) == 0.0
    assert controlling_threshold(curves, GRID, 0.3) == 0.25
    assert controlling_threshold(curves, GRID, 0.39) == 0.25
    assert controlling_threshold(curves, GRID, 0.4) == 0.5
    assert controlling_threshold(curves, GRID, 0.99) == 0.75


def test_six_sites_can_guarantee_a_level_of_one_seventh_and_no_less():
    nothing_missed = np.zeros((6, len(GRID)))
    assert smallest_level(6) == 1 / 7
    assert controlling_threshold(nothing_missed, GRID, 1 / 7) == 1.0
    with pytest.raises(
        ProtocolError, match=r'1/7 = 0\.1429\. This level needs 9 sites'
    ):
        controlling_threshold(nothing_missed, GRID, 0.1)
    # The rounded level of the message is accepted.
    assert controlling_threshold(nothing_missed, GRID, 0.1429) == 1.0


@pytest.mark.parametrize(
    'level, sites', [(0.5, 1), (0.3, 3), (1 / 7, 6), (0.1, 9), (0.05, 19), (0.9, 1)]
)
def test_number_of_sites_that_a_level_needs(level, sites):
    assert sites_needed(level) == sites
    controlling_threshold(np.zeros((sites, 5)), GRID, level)
    if sites > 1:
        with pytest.raises(ProtocolError, match=f'needs {sites} site'):
            controlling_threshold(np.zeros((sites - 1, 5)), GRID, level)


def test_one_site_can_guarantee_a_level_of_one_half():
    curves = np.array([[0.0, 0.0, 0.2, 0.6, 1.0]])
    assert controlling_threshold(curves, GRID, 0.5) == 0.25
    assert controlling_threshold(curves, GRID, 0.6) == 0.5


@pytest.mark.parametrize('level', [0.0, 1.0, -0.1, float('nan')])
def test_levels_that_are_not_between_0_and_1_are_refused(level):
    with pytest.raises(ProtocolError, match='between 0 and 1'):
        controlling_threshold(np.zeros((6, 5)), GRID, level)


def step_sites(rng, count):
    """Each site misses nothing up to a threshold of its own, and all beyond."""
    return (np.array(THRESHOLDS) > rng.random((count, 1))).astype(float)


def smooth_sites(rng, count):
    """Missed shares t ** a, a lognormal: some sites miss early, some late."""
    return np.array(THRESHOLDS) ** rng.lognormal(0.0, 1.5, (count, 1))


@pytest.mark.parametrize('draw', [step_sites, smooth_sites])
@pytest.mark.parametrize('sites, level', [(6, 1 / 7), (6, 0.2), (6, 0.3), (12, 0.1)])
def test_mean_risk_at_a_new_site_exceeds_the_level_by_at_most_a_point(
    draw, sites, level
):
    rng = np.random.default_rng(0)
    risks, plain = [], []
    for _ in range(DRAWS):
        curves = draw(rng, sites + 1)
        old, new = curves[:-1], curves[-1]
        threshold = controlling_threshold(old, THRESHOLDS, level)
        risks.append(new[THRESHOLDS.index(threshold)])
        # Without the correction for few sites: the largest of mean risk <= level.
        plain.append(new[np.flatnonzero(old.mean(axis=0) <= level + 1e-9)[-1]])
    assert np.mean(risks) <= level + 0.01
    if draw is step_sites and level == 0.2:
        assert np.mean(plain) > level + 0.05, 'the simulation would not tell'


def missed(area, lesions=None):
    grid = [0.0, 0.5, 1.0]
    return dict(images=3, thresholds=grid, area=area, lesions=lesions or area)


def runs_of(make_record, curves, method='mcdrl', seeds=(0,)):
    return [
        make_record(method, site, seed, sites={site: dict(missed=missed(*own))})
        for site, own in curves.items()
        for seed in seeds
    ]


def test_risks_are_means_over_seeds_that_finished_at_every_site(make_record):
    second = {'s2': ([0.0, 0.4, 1.0], [0.0, 0.1, 1.0])}
    records = runs_of(make_record, {'s1': ([0.0, 0.2, 1.0],)}, seeds=(0, 1, 2))
    records += runs_of(make_record, second, seeds=(0, 1))
    found = site_curves(records)
    assert (found.sites, found.seeds) == (('s1', 's2'), (0, 1))
    assert found.curves.tolist() == [[0.0, 0.2, 1.0], [0.0, 0.4, 1.0]]
    assert site_curves(records, risk='lesions').curves[1].tolist() == [0.0, 0.1, 1.0]


def test_each_site_is_held_out_once_as_the_new_site(make_record):
    curves = {f's{n}': ([0.0, 0.1, 1.0],) for n in range(3)}
    curves['s3'] = ([0.0, 0.8, 1.0],)
    found = site_curves(runs_of(make_record, curves))
    # From s0 to s2: (0.3 + 1) / 4 <= 0.4; with s3 among them (0.1 + 0.1 + 0.8 + 1) / 4.
    assert held_out_risks(found, 0.4) == [(0.0, 0.0)] * 3 + [(0.5, 0.8)]
    assert held_out_risks(found, 0.2) is None


def test_missing_curves_methods_and_seeds_are_named_in_the_error(make_record):
    good = runs_of(make_record, {'s1': ([0.0, 0.2, 1.0],), 's2': ([0.0, 0.2, 1.0],)})
    with pytest.raises(ProtocolError, match=r's3, seed 0.*made by an older version'):
        site_curves([*good, make_record('mcdrl', 's3')])
    with pytest.raises(ProtocolError, match='no image of the site holds a lesion'):
        site_curves([*good, make_record('mcdrl', 's3', sites={'s3': {}})])
    other = runs_of(make_record, {'s1': ([0.0, 0.2, 1.0],)}, method='fcn')
    with pytest.raises(ProtocolError, match='--method; there are fcn, mcdrl'):
        site_curves([*good, *other])
    with pytest.raises(ProtocolError, match="no method 'x'"):
        site_curves(good, 'x')
    with pytest.raises(ProtocolError, match='no seed has finished at every site'):
        site_curves([*good, *runs_of(make_record, {'s3': ([0, 0, 1.0],)}, seeds=(5,))])


@pytest.mark.parametrize(
    'damage',
    [
        dict(area=[0.0, 0.5, 0.4]),
        dict(area=[0.0, 0.5, 1.5]),
        dict(area=[0.0, 0.5]),
        dict(lesions=None),
        dict(thresholds=['a', 'b', 'c']),
    ],
)
def test_damaged_curves_are_refused(make_record, damage):
    kept = {'s1': dict(missed=missed([0.0, 0.2, 1.0]) | damage)}
    with pytest.raises(ProtocolError, match=r's1, seed 0.*damaged'):
        site_curves([make_record('mcdrl', 's1', sites=kept)])


def test_command_prints_the_threshold_and_writes_it(tmp_path, make_record, capsys):
    curves = {f's{n}': ([0.0, 0.1, 1.0],) for n in range(6)}
    for record in runs_of(make_record, curves):
        append_record(tmp_path / 'records.jsonl', record)
    out = tmp_path / 'threshold.json'
    arguments = ['conformal', str(tmp_path), '--level', '0.3', '--out', str(out)]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert 'threshold 0.5; the expected share of missed lesion area' in told
    assert '0.5: 0.100' in told
    written = json.loads(out.read_text())
    assert (written['threshold'], written['level'], written['risk']) == (
        0.5,
        0.3,
        'area',
    )
    assert written['sites'] == [f's{n}' for n in range(6)]
    assert main(['conformal', str(tmp_path), '--level', '0.1']) == 2
    assert 'This level needs 9 sites' in capsys.readouterr().err


@pytest.fixture
def conformal(tmp_path, make_record):
    """Runs the command on records of two methods; returns its code and file."""
    for method, at_half in (('mcdrl', 0.1), ('baseline', 0.6)):
        curves = {f's{n}': ([0.0, at_half, 1.0],) for n in range(6)}
        for record in runs_of(make_record, curves, method=method):
            append_record(tmp_path / 'records.jsonl', record)
    out = tmp_path / 'threshold.json'

    def run(*options):
        arguments = ['conformal', str(tmp_path), '--out', str(out), *options]
        return main(arguments), CONFORMAL.read(out)

    return run


@pytest.mark.parametrize(
    'other',
    [
        ('--method', 'baseline', '--level', '0.3'),
        ('--method', 'mcdrl', '--level', '0.4'),
        ('--method', 'mcdrl', '--level', '0.3', '--risk', 'lesions'),
    ],
)
def test_command_replaces_results_of_other_settings_only_on_request(
    conformal, capsys, other
):
    own = ('--method', 'mcdrl', '--level', '0.3')
    _, first = conformal(*own)
    assert conformal(*own) == (0, first)
    assert conformal(*other) == (2, first)
    assert 'results of an earlier run are in the way' in capsys.readouterr().err
    code, second = conformal(*other, '--overwrite')
    assert (code, second != first) == (0, True)


def test_command_reports_that_older_records_hold_no_curves(
    tmp_path, make_record, capsys
):
    append_record(tmp_path / 'records.jsonl', make_record('mcdrl', 's1', dice=[0.5]))
    assert main(['conformal', str(tmp_path), '--level', '0.5']) == 2
    assert 'lacks what is missed' in capsys.readouterr().err
