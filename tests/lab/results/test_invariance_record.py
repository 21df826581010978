import json
import math
from dataclasses import replace

import pytest

from mcdrl_lab.results.invariance_record import InvarianceRecord
from mcdrl_lab.results.invariance_scores import PairScores

RECORD = InvarianceRecord(
    method='full',
    held_out='endosim_a',
    seed=2,
    spurious=1.0,
    pairs={'blur': PairScores(0.75, 0.5, 0.25, 0.0, 4)},
    probes={
        'site': {'F': 0.5, 'F_ca': 0.25, 'chance': 0.2},
        'blur': {'F': 0.9, 'F_ca': 0.7, 'chance': 0.5},
    },
    probe_scenes=100,
)


def test_a_record_is_read_back_as_it_was_written():
    assert InvarianceRecord.from_dict(json.loads(RECORD.to_json())) == RECORD


@pytest.mark.parametrize('name', ['data', 'settings'])
def test_dataset_and_settings_are_written_only_if_known(name):
    told = replace(RECORD, **{name: 'a1'})
    assert InvarianceRecord.from_dict(json.loads(told.to_json())) == told
    assert name not in json.loads(RECORD.to_json())


def test_undefined_agreement_is_null_in_the_file():
    moved = replace(RECORD, pairs={'near': PairScores(math.nan, 0.5, 0.25, 0.0, 4)})
    text = moved.to_json()
    assert json.loads(text)['pairs']['near']['agreement'] is None
    read = InvarianceRecord.from_dict(json.loads(text))
    assert math.isnan(read.pairs['near'].agreement)


def test_probe_mean_averages_the_named_probes_and_is_nan_without_probes():
    assert RECORD.probe_mean(('site', 'blur'), 'F') == pytest.approx(0.7)
    assert RECORD.probe_mean(('site',), 'F_ca') == 0.25
    assert math.isnan(replace(RECORD, probes=None).probe_mean(('site',), 'F'))


def test_records_with_another_schema_or_missing_keys_are_refused():
    values = json.loads(RECORD.to_json())
    with pytest.raises(ValueError, match='schema=2'):
        InvarianceRecord.from_dict({**values, 'schema': 2})
    with pytest.raises(ValueError, match='needs the keys'):
        InvarianceRecord.from_dict({'method': 'full'})


@pytest.mark.parametrize(
    'change',
    [
        {'pairs': [1]},
        {'pairs': {'blur': 1}},
        {'pairs': {'blur': {'agreement': 'high'}}},
        {'probes': {'site': {'F': []}}},
        {'seed': '2'},
        {'spurious': None},
        {'method': 1},
        {'data': 1},
        {'settings': 1},
    ],
)
def test_values_of_the_wrong_type_are_refused(change):
    values = {**json.loads(RECORD.to_json()), **change}
    with pytest.raises(ValueError, match='of the wrong type'):
        InvarianceRecord.from_dict(values)
