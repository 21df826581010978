import hashlib
import warnings
from dataclasses import replace

import pytest
import torch

from mcdrl_common import InputError
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.run_folder import RunFolder
from mcdrl_lab.results.invariance_runs import find_runs, measure_runs
from mcdrl_lab.results.invariance_tables import read_invariance
from mcdrl_lab.simulation.scene import CONFOUNDERS
from mcdrl_lab.simulation.simulated_sites import Benchmark


def finish(out, method, site, seed, tested=True):
    folder = out / method / site / f'seed{seed}'
    folder.mkdir(parents=True)
    RunFolder(folder).update(tested=tested)
    return folder


def names(runs):
    return [(run.method, run.held_out, run.seed) for run in runs]


def test_only_tested_runs_are_found_and_sorted_by_site(tmp_path):
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
    with pytest.raises(ProtocolError, match='not a site of EndoSim'):
        find_runs(tmp_path)


def test_runs_are_measured_once_and_recorded(tmp_path, checkpoint_content):
    data = tmp_path / 'data'
    data.mkdir()
    benchmark = Benchmark(images_per_site=4, size=64, spurious=0.5, seed=1)
    (data / 'endosim.json').write_text(benchmark.text())
    folder = finish(tmp_path / 'plan', 'full', 'endosim_a', 3)
    torch.save(checkpoint_content(), folder / 'best_mDice_fg_epoch_1.pth')
    RunFolder(folder).update(config_hash='a' * 64)
    runs, out = find_runs(tmp_path / 'plan'), tmp_path / 'out.jsonl'
    options = dict(scenes=1, probe_scenes=0, device='cpu')
    (record,) = measure_runs(runs, data, out, **options)
    assert record.key == ('full', 'endosim_a', 3, 0.5)
    assert list(record.pairs) == list(CONFOUNDERS)
    assert record.probes is None
    assert list(measure_runs(runs, data, out, **options)) == []
    message = r'out\.jsonl: the record of full, endosim_a, seed 3 was .* --scenes 1 --'
    with pytest.raises(ProtocolError, match=message):
        list(measure_runs(runs, data, out, **{**options, 'scenes': 2}))
    # Another plan has runs of the same names.
    RunFolder(folder).update(config_hash='b' * 64)
    with pytest.raises(ProtocolError, match=r'seed 3 is of a training with other sett'):
        list(measure_runs(runs, data, out, **options))
    RunFolder(folder).update(config_hash='a' * 64)
    # Another draw with the same strength has runs of the same names.
    other = replace(benchmark, seed=2)
    (data / 'endosim.json').write_text(other.text())
    with pytest.raises(ProtocolError, match='measured on another data set'):
        list(measure_runs(runs, data, out, **options))
    # Older records do not hold their dataset and settings.
    out.write_text(replace(record, data='', settings='').to_json() + '\n')
    assert list(measure_runs(runs, data, out, **options)) == []
    assert [r.key for r in read_invariance(out)] == [record.key]


@pytest.mark.parametrize('trained_on', ['data', 'other'])
def test_a_run_that_was_trained_on_another_dataset_gives_a_warning(
    tmp_path, trained_on
):
    data = tmp_path / 'data'
    (data / 'endosim_a').mkdir(parents=True)
    (data / 'endosim.json').write_text(Benchmark().text())
    (data / 'endosim_a/0.png').write_bytes(b'image' if trained_on == 'data' else b'')
    folder = finish(tmp_path / 'plan', 'full', 'endosim_a', 0)
    own = hashlib.sha256(b'[["endosim_a/0.png",5]]').hexdigest()
    RunFolder(folder).update(origin={'data hash': own})
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        # The warning comes first; otherwise the missing checkpoint is the error.
        expected = UserWarning if trained_on == 'other' else InputError
        with pytest.raises(expected, match=str(folder)):
            next(measure_runs(find_runs(tmp_path / 'plan'), data, tmp_path / 'out'))


def test_a_missing_dataset_or_a_damaged_checkpoint_is_named_in_the_error(tmp_path):
    folder = finish(tmp_path / 'plan', 'full', 'endosim_a', 0)
    runs, data = find_runs(tmp_path / 'plan'), tmp_path / 'data'
    with pytest.raises(InputError, match=r'data/endosim\.json: No such file'):
        next(measure_runs(runs, data, tmp_path / 'out', probe_scenes=0))
    data.mkdir()
    (data / 'endosim.json').write_text(Benchmark().text())
    torch.save({'weights': 'none'}, folder / 'best_mDice_fg_epoch_1.pth')
    with pytest.raises(InputError, match=r'best_mDice_fg_epoch_1\.pth holds no'):
        next(measure_runs(runs, data, tmp_path / 'out', probe_scenes=0))
