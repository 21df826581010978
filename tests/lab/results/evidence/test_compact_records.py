import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record, read_records
from mcdrl_lab.results.comparison import compare
from mcdrl_lab.results.evidence.compact_records import compact, write_compact
from mcdrl_lab.results.lesion_classes import compare_by_lesion_class
from mcdrl_lab.results.tables import result_table

RECORDS = Path(__file__).resolve().parents[4] / 'docs/evidence'


def test_compact_records_give_the_same_tables_and_comparisons(tmp_path, make_record):
    two_methods = [
        make_record(method, 's1', seed, [better + 0.2 * seed, 0.4, None])
        for method, better in (('a', 0.5), ('b', 0.25))
        for seed in (0, 1)
    ]
    path = tmp_path / 'a.jsonl.gz'
    assert write_compact(two_methods, path) == len(two_methods)
    small = read_records(path)
    for metric in ('dice', 'iou', 'false_positive'):
        # In per cent: four digits are kept of a fraction.
        pd.testing.assert_frame_equal(
            result_table(small, metric), result_table(two_methods, metric), atol=0.01
        )
    assert compare(small, 'a', ['b'], resamples=50) == compare(
        two_methods, 'a', ['b'], resamples=50
    )
    assert compare_by_lesion_class(small, 'a', ['b'], resamples=50) == (
        compare_by_lesion_class(two_methods, 'a', ['b'], resamples=50)
    )


def test_only_the_needed_values_of_an_image_are_kept(make_record):
    record = make_record(
        dice=[0.123456, None],
        metrics={'mDice_fg': 0.1, 'site/s1/mDice_fg': 0.1},
    )
    small = compact(record)
    assert small.images == [
        {
            'image': 'i0',
            'sequence': None,
            'has_lesion': True,
            'lesion_classes': ['polyp'],
            'dice': 0.1235,
            'iou': round(0.123456 / (2 - 0.123456), 4),
        },
        {
            'image': 'i1',
            'sequence': None,
            'has_lesion': False,
            'false_positive': True,
        },
    ]
    assert dict(small.metrics) == {'mDice_fg': 0.1}
    assert small.data_hash == record.data_hash


@pytest.mark.parametrize('name', ['real_sites_demo', 'endosim_draw-11'])
def test_committed_records_do_not_change_when_written_again(tmp_path, name):
    committed = RECORDS / f'{name}.jsonl.gz'
    again = tmp_path / committed.name
    write_compact(read_records(committed), again)
    # The compressed bytes depend on the version of zlib.
    assert gzip.decompress(again.read_bytes()) == gzip.decompress(
        committed.read_bytes()
    )


def test_equal_records_make_equal_files_whatever_their_order(tmp_path, two_methods):
    paths = [tmp_path / f'{n}.jsonl.gz' for n in (1, 2)]
    write_compact(two_methods, paths[0])
    write_compact(two_methods[::-1], paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_an_identical_run_of_two_plans_is_kept_once_and_a_different_one_refused(
    tmp_path, make_record
):
    path = tmp_path / 'a.jsonl.gz'
    run, other = make_record(dice=[0.5]), make_record(dice=[0.6])
    assert write_compact([run, run, make_record(status='failed')], path) == 1
    before = path.read_bytes()
    with pytest.raises(
        ProtocolError, match='appears twice in the records, with different results'
    ):
        write_compact([run, other], path)
    assert path.read_bytes() == before
    lines = gzip.decompress(before).splitlines()
    assert [json.loads(line)['images'][0]['dice'] for line in lines] == [0.5]


def test_unusable_input_is_refused(tmp_path, make_record):
    with pytest.raises(ProtocolError, match=r'must end in \.jsonl\.gz'):
        write_compact([make_record()], tmp_path / 'a.jsonl')
    with pytest.raises(ProtocolError, match='no finished run'):
        write_compact([make_record(status='failed')], tmp_path / 'a.jsonl.gz')


def test_plans_with_different_data_are_kept_together_with_a_note(
    tmp_path, make_record, capsys
):
    records = [
        make_record('a', 's1', dice=[0.5]),
        make_record('b', 's1', dice=[0.5]),
        make_record('a', 's2', dice=[0.5], data_hash='e' * 64),
        make_record('b', 's2', dice=[0.5]),
    ]
    for plan, own in (('one', records[:2]), ('two', records[2:])):
        for record in own:
            append_record(tmp_path / plan / 'records.jsonl', record)
    plans = [str(tmp_path / plan) for plan in ('one', 'two')]
    out = tmp_path / 'kept.jsonl.gz'
    assert main(['evidence', 'keep', *plans, '--out', str(out)]) == 0
    assert capsys.readouterr().err == (
        f'note: a in {plans[0]} and in {plans[1]} differ in data (hash dddddddddddd '
        'and eeeeeeeeeeee); they are stored as runs of one method.\n'
    )
    assert len(read_records(out)) == 4


def test_kept_runs_are_replaced_by_fewer_or_other_runs_only_on_request(
    tmp_path, make_record, capsys
):
    out = tmp_path / 'kept.jsonl.gz'

    def keep(seeds, *options, **values):
        records = tmp_path / 'plan/records.jsonl'
        records.unlink(missing_ok=True)
        for seed in seeds:
            append_record(records, make_record('a', 's1', seed, [0.5], **values))
        return main(
            ['evidence', 'keep', str(tmp_path / 'plan'), '--out', str(out), *options]
        )

    assert not keep([0, 1])
    before = out.read_bytes()
    assert keep([1, 2]) == 2
    assert (
        'has 1 runs, such as a/s1/seed0, that these plans lack'
        in capsys.readouterr().err
    )
    assert out.read_bytes() == before
    # Runs with the same name, as from another draw of the data.
    for other in (dict(data_hash='e' * 64), dict(config_hash='e' * 64)):
        assert keep([0, 1], **other) == 2
        told = capsys.readouterr().err
        assert (
            'has 2 runs, such as a/s1/seed0, that these plans lack or have with' in told
        )
    assert out.read_bytes() == before
    # A plan that grew.
    assert not keep([0, 1, 2])
    assert not keep([1], '--overwrite')
    assert [record.seed for record in read_records(out)] == [1]
    out.write_text('mine')
    assert keep([1]) == 2
    assert out.read_text() == 'mine'
