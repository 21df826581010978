import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.invariance_record import InvarianceRecord
from mcdrl_lab.results.invariance_scores import PairScores
from mcdrl_lab.results.invariance_tables import (
    confounder_table,
    invariance_table,
    read_invariance,
)
from mcdrl_lab.results.text_cells import MISSING
from mcdrl_lab.simulation.scene import CONFOUNDERS


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


def test_the_last_record_of_a_model_counts(tmp_path):
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
