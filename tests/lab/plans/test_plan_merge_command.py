import itertools
import json
from dataclasses import asdict, replace

import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.plan_merge_command import merge
from mcdrl_lab.plans.records import RunRecord, append_record, read_records
from mcdrl_lab.plans.run_folder import RunFolder

RUN = RunRecord(
    method='mcdrl',
    config='c.py',
    config_hash='hash-of-seed-0',
    held_out='s1',
    seed=0,
    budget=dict(epochs=3, train_images=10),
    data_hash='data',
)
OTHER_SEED = replace(RUN, seed=1, config_hash='hash-of-seed-1')


def test_shards_of_seeds_are_joined():
    assert merge({'a': [RUN], 'b': [OTHER_SEED]}) == [RUN, OTHER_SEED]


def test_a_run_in_both_shards_is_kept_once_and_a_failed_one_is_replaced():
    failed = replace(RUN, status='failed', error='out of memory')
    assert merge({'a': [RUN], 'b': [RUN]}) == [RUN]
    assert merge({'a': [failed], 'b': [RUN]}) == [RUN]
    assert merge({'a': [RUN], 'b': [failed]}) == [RUN]


def test_different_methods_may_have_different_configs_and_budgets():
    other = replace(RUN, method='baseline', config='b.py', budget=dict(epochs=9))
    assert merge({'a': [RUN], 'b': [other]}) == [RUN, other]


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(config='d.py'), r'config \(c\.py and d\.py\)'),
        (dict(data_hash='moved'), 'data'),
        (dict(budget=dict(epochs=4, train_images=10)), r'epochs \(3 and 4\)'),
    ],
)
def test_shards_that_trained_a_method_differently_are_refused_with_the_difference(
    change, words
):
    with pytest.raises(ProtocolError, match=f'mcdrl in a and in b differ in {words}'):
        merge({'a': [RUN], 'b': [replace(OTHER_SEED, **change)]})


def test_shards_started_in_different_folders_are_joined():
    run = replace(RUN, method_hash='a' * 64)
    other = replace(OTHER_SEED, method_hash='a' * 64, config='../configs/c.py')
    assert merge({'a': [run], 'b': [other]}) == [run, other]


def test_sites_may_differ_in_their_number_of_training_images():
    other = replace(RUN, held_out='s2', budget=dict(epochs=3, train_images=7))
    assert len(merge({'a': [RUN], 'b': [other]})) == 2


def test_the_same_run_with_other_settings_is_refused():
    with pytest.raises(
        ProtocolError, match='mcdrl/s1/seed0 was trained with different'
    ):
        merge({'a': [RUN], 'b': [replace(RUN, config_hash='x')]})


@pytest.mark.reliability('bad input', 'records with texts that are no Unicode')
def test_texts_that_are_not_unicode_are_merged_unchanged(tmp_path):
    odd = replace(RUN, status='failed', error='a\ud800', config='c\udcff.py')
    (tmp_path / 'a').mkdir()
    append_record(tmp_path / 'a/records.jsonl', RUN)
    (tmp_path / 'b').mkdir()
    text = json.dumps({**asdict(odd), 'method': 'odd'})
    (tmp_path / 'b/records.jsonl').write_text(text + '\n')
    out = tmp_path / 'out'
    folders = [str(tmp_path / name) for name in 'ab']
    assert main(['plan-merge', *folders, '--out', str(out)]) == 0
    assert read_records(out / 'records.jsonl') == [RUN, replace(odd, method='odd')]


def test_shards_with_different_settings_of_a_method_are_refused():
    shard = replace(RUN, method_hash='a' * 64)
    alike = replace(OTHER_SEED, method_hash='a' * 64)
    other = replace(OTHER_SEED, method_hash='b' * 64)
    assert len(merge({'a': [shard], 'b': [alike]})) == 2
    with pytest.raises(ProtocolError, match=r'differ in settings \(hash a+ and b+\)'):
        merge({'a': [shard], 'b': [other]})
    # An older record has no such hash.
    assert len(merge({'a': [shard], 'b': [OTHER_SEED]})) == 2


@pytest.mark.parametrize('order', itertools.permutations('abc'))
def test_different_settings_are_refused_in_any_order_beside_an_older_record(order):
    shards = {
        'a': [RUN],
        'b': [replace(OTHER_SEED, method_hash='b' * 64)],
        'c': [replace(OTHER_SEED, seed=2, method_hash='c' * 64)],
    }
    with pytest.raises(ProtocolError, match='differ in settings'):
        merge({name: shards[name] for name in order})


def test_the_record_used_of_two_different_finished_runs_is_reported(capsys):
    other = replace(RUN, duration_s=9.0)
    assert merge({'a': [RUN], 'b': [RUN]}) == [RUN]
    assert capsys.readouterr().out == ''
    assert merge({'a': [RUN], 'b': [other]}) == [RUN]
    said = 'mcdrl/s1/seed0 is finished in a and in b: the record in a is used.\n'
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(sequence='v2'), "at s1: i0 belongs to 'v1' in one run, and to 'v2' in"),
        (dict(tp=9), 'different masks at s1: in i0, 8 of 64 pixels are lesion'),
    ],
)
def test_seeds_tested_with_other_sequences_or_masks_are_refused(
    make_image, change, words
):
    seen = make_image('i0', 0.5, 'v1') | dict(tp=8, fn=0, pixels=64)
    run = replace(RUN, images=[seen])
    assert len(merge({'a': [run], 'b': [replace(OTHER_SEED, images=[seen])]})) == 2
    other = replace(OTHER_SEED, images=[seen | change])
    with pytest.raises(ProtocolError, match=words):
        merge({'a': [run], 'b': [other]})
    failed = replace(other, status='failed')
    assert len(merge({'a': [run], 'b': [failed]})) == 2
    assert len(merge({'a': [run], 'b': [replace(other, method='c')]})) == 2


@pytest.fixture
def shards(tmp_path):
    """Writes two plans of one held-out site each, with these hashes of their groups."""

    def write(*groups):
        names = []
        for name, site, noted in zip('ab', ('s1', 's2'), groups, strict=True):
            append_record(
                tmp_path / name / 'records.jsonl', replace(RUN, held_out=site)
            )
            if noted is not None:
                run = RunFolder(tmp_path / name / 'mcdrl' / site / 'seed0')
                origin = {'hash of sequences and patients': noted}
                run.update(origin=origin, attempts=[])
            names.append(str(tmp_path / name))
        return [*names, '--out', str(tmp_path / 'whole')]

    return write


@pytest.mark.parametrize('groups', [('x', 'y'), ('', 'y')])
def test_shards_whose_sequences_or_patients_differ_are_refused(
    shards, tmp_path, capsys, groups
):
    assert main(['plan-merge', *shards(*groups)]) == 2
    told = capsys.readouterr().err
    assert f'mcdrl/s1/seed0 in {tmp_path}/a and mcdrl/s2/seed0 in {tmp_path}/b' in told
    assert 'index.csv listed other sequences or patients' in told
    assert not (tmp_path / 'whole').exists()


@pytest.mark.parametrize('groups', [('x', 'x'), ('x', None), (None, None)])
def test_shards_with_the_same_groups_or_without_run_folders_are_joined(
    shards, tmp_path, groups
):
    words = shards(*groups)
    # A plan may also be given by its record file.
    words[0] += '/records.jsonl'
    assert main(['plan-merge', *words]) == 0
    assert len(read_records(tmp_path / 'whole/records.jsonl')) == 2
