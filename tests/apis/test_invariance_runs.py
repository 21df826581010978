import pytest
import torch

from mcdrl_mmseg.apis.invariance_runs import (
    confounder_table,
    find_runs,
    invariance_table,
    measure_runs,
    read_invariance,
)
from mcdrl_mmseg.datasets.endosim import CONFOUNDERS, Benchmark
from mcdrl_mmseg.evaluation.invariance import PairScores
from mcdrl_mmseg.evaluation.invariance_record import InvarianceRecord
from mcdrl_mmseg.protocols.errors import ProtocolError
from mcdrl_mmseg.protocols.run_folder import RunFolder
from mcdrl_mmseg.protocols.tables import MISSING


def finish(out, method, site, seed, tested=True):
    folder = out / method / site / f'seed{seed}'
    folder.mkdir(parents=True)
    RunFolder(folder).update(tested=tested)
    return folder


def names(runs):
    return [(run.method, run.held_out, run.seed) for run in runs]


def test_tested_runs_are_found_site_by_site(tmp_path):
    finish(tmp_path, 'b', 'endosim_a', 0)
    finish(tmp_path, 'a', 'endosim_c', 1)
    finish(tmp_path, 'a', 'endosim_a', 1)
    finish(tmp_path, 'a', 'endosim_d', 0, tested=False)
    assert names(find_runs(tmp_path)) == [
        ('b', 'endosim_a', 0),
        ('a', 'endosim_a', 1),
        ('a', 'endosim_c', 1),
    ]
    assert names(find_runs(tmp_path, methods=['a'], seeds=[1])) == [
        ('a', 'endosim_a', 1),
        ('a', 'endosim_c', 1),
    ]
    with pytest.raises(ProtocolError, match='no finished run'):
        find_runs(tmp_path, methods=['c'])


def test_runs_on_real_sites_are_refused(tmp_path):
    finish(tmp_path, 'a', 'polypgen_c1', 0)
    with pytest.raises(ProtocolError, match='no site of EndoSim'):
        find_runs(tmp_path)


def test_runs_are_measured_once_and_recorded(tmp_path, checkpoint_content):
    data = tmp_path / 'data'
    data.mkdir()
    benchmark = Benchmark(images_per_site=4, size=64, spurious=0.5, seed=1)
    (data / 'endosim.json').write_text(benchmark.text())
    folder = finish(tmp_path / 'plan', 'full', 'endosim_a', 3)
    torch.save(checkpoint_content(), folder / 'best_mDice_fg_epoch_1.pth')
    runs, out = find_runs(tmp_path / 'plan'), tmp_path / 'out.jsonl'
    options = dict(scenes=1, probe_scenes=0, device='cpu')
    (record,) = measure_runs(runs, data, out, **options)
    assert record.key == ('full', 'endosim_a', 3, 0.5)
    assert list(record.pairs) == list(CONFOUNDERS)
    assert record.probes is None
    assert list(measure_runs(runs, data, out, **options)) == []
    assert [r.key for r in read_invariance(out)] == [record.key]


def record(method, seed, agreement, after):
    pair = PairScores(agreement, 0.6, 0.5, 0.0, 2)
    names = ('site', 'lesion', *CONFOUNDERS)
    probe = {'F': 0.8, 'F_ca': after, 'chance': 0.5}
    return InvarianceRecord(
        method=method,
        held_out='endosim_a',
        seed=seed,
        spurious=1.0,
        pairs=dict.fromkeys(CONFOUNDERS, pair),
        probes=None if after is None else dict.fromkeys(names, probe),
        probe_scenes=9,
    )


def cells(table, name):
    line = next(row for row in table.splitlines() if row.startswith(f'| {name}'))
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_tables_hold_means_and_standard_errors_over_runs():
    records = [
        record('full', 0, 0.7, 0.5),
        record('full', 1, 0.9, 0.7),
        record('baseline', 0, 0.4, None),
    ]
    table = invariance_table(records)
    # Two runs: half their distance.
    assert cells(table, 'full')[1:] == [
        '80.0 ± 10.0',
        '60.0 ± 0.0',
        '50.0 ± 0.0',
        *['80.0 ± 0.0', '60.0 ± 10.0'] * 3,
        '2',
    ]
    assert cells(table, 'baseline')[1:] == ['40.0', '60.0', '50.0', *[MISSING] * 6, '1']
    by_confounder = confounder_table(records, 'full')
    assert cells(by_confounder, 'mucus')[1] == '80.0 ± 10.0'
    assert cells(by_confounder, 'mucus')[-1] == '60.0 ± 10.0'
    assert len(by_confounder.splitlines()) == 2 + len(CONFOUNDERS)


def test_of_one_model_the_last_record_counts(tmp_path):
    path = tmp_path / 'r.jsonl'
    lines = [
        record('full', 0, 0.7, 0.5).to_json(),
        record('full', 0, 0.8, 0.5).to_json(),
    ]
    path.write_text('\n'.join(lines) + '\n')
    (read,) = read_invariance(path)
    assert read.pairs['blur'].agreement == 0.8
    path.write_text('{"a": 1}\n')
    with pytest.raises(ProtocolError, match='line 1: an invariance record needs'):
        read_invariance(path)
