import hashlib
import json
import shutil
import warnings
from dataclasses import replace

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.results.evidence.compact_records import write_compact
from mcdrl_lab.trust.recorded_dice import confidences, recorded_dice


@pytest.fixture
def plan(tmp_path, make_record):
    """Method a, sites s1 and s2, two seeds; b was recorded first."""
    for site in ('s1', 's2'):
        (tmp_path / 'data' / site).mkdir(parents=True)
        for number in range(3):
            (tmp_path / 'data' / site / f'i{number}').write_bytes(b'')
    records = [
        make_record('b', 's1', 0, [0.1]),
        make_record('a', 's1', 0, [0.2, None, 0.6]),
        make_record('a', 's1', 1, [0.4, None, 0.8]),
        make_record('a', 's2', 0, [1.0]),
        make_record('a', 's2', 0, [0.0], selection='oracle'),
    ]
    for record in records:
        append_record(tmp_path / 'records.jsonl', record)
    return tmp_path


def test_dice_is_the_mean_over_seeds_of_images_with_a_lesion_of_the_last_method(plan):
    found = recorded_dice(plan, plan / 'data')
    assert [(i.site, i.path.name, round(i.dice, 3)) for i in found] == [
        ('s1', 'i0', 0.3),
        ('s1', 'i2', 0.7),
        ('s2', 'i0', 1.0),
    ]
    (only,) = recorded_dice(plan, plan / 'data', method='b')
    assert only.dice == 0.1


def test_the_method_is_the_last_one_with_the_network_of_the_checkpoint(
    plan, make_record
):
    records = plan / 'told.jsonl'
    for method, network in (('b', 'B'), ('old', ''), ('c', 'B'), ('a', 'A')):
        record = make_record(method, 's1', 0, [0.1 * (method == 'c')])
        append_record(records, replace(record, model_hash=64 * network))
    (image,) = recorded_dice(records, plan / 'data', model_hash=64 * 'B')
    assert image.dice == 0.1
    # If no method has this network, the last one is checked, and named in the error.
    for method, named in ((None, 'none of'), ('a', 'b, c of')):
        own = 64 * ('C' if method is None else 'B')
        with pytest.raises(ProtocolError, match=rf"'a' has other .*\({named} these"):
            recorded_dice(records, plan / 'data', method, model_hash=own)
    assert recorded_dice(records, plan / 'data', 'old', model_hash=64 * 'C')
    assert recorded_dice(records, plan / 'data', 'a')


def test_compact_records_give_dice_of_images_with_a_lesion_only(plan, make_record):
    records = plan / 'compact.jsonl.gz'
    write_compact([make_record('a', 's1', 0, [0.2, None, 0.6])], records)
    found = recorded_dice(records, plan / 'data')
    assert [image.dice for image in found] == [0.2, 0.6]


def test_confidence_is_the_mean_over_seeds_also_in_compact_records(
    plan, make_record, make_image
):
    runs = []
    for seed, self_dice in ((0, 0.8), (1, 0.6)):
        image = make_image('i0', 0.5, sequence='v1')
        image |= dict(self_dice=self_dice, mean_confidence=0.9)
        runs.append(make_record('a', 's1', seed, images=[image]))
    for name in ('r.jsonl', 'r.jsonl.gz'):
        if name == 'r.jsonl':
            for run in runs:
                append_record(plan / name, run)
        else:
            write_compact(runs, plan / name)
        (image,) = recorded_dice(plan / name, plan / 'data')
        assert image.sequence == 'v1'
        assert confidences([image]).tolist() == [[pytest.approx(0.7), 0.9]]


def test_other_data_with_the_same_site_names_give_a_warning(plan, make_record):
    # b'' and five bytes: the plan has a third site, which was not held out.
    data = {}
    for name, content in (('own', b''), ('other', b'other')):
        for site in ('s1', 's2', 's3'):
            (plan / name / site).mkdir(parents=True)
            (plan / name / site / 'i0').write_bytes(content)
        files = [[f's{n}/i0', len(content)] for n in (1, 2, 3)]
        text = json.dumps(files, separators=(',', ':'))
        data[name] = hashlib.sha256(text.encode()).hexdigest()
    for site in ('s1', 's2'):
        record = make_record('a', site, 0, [0.5], data_hash=data['own'])
        append_record(plan / 'of_own.jsonl', record)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        recorded_dice(plan / 'of_own.jsonl', plan / 'own')
        with pytest.raises(
            UserWarning, match=r"other: these may not be the files that 'a' was tested"
        ):
            recorded_dice(plan / 'of_own.jsonl', plan / 'other')
        shutil.rmtree(plan / 'own/s3')
        with pytest.raises(UserWarning, match='own: these may not be the files'):
            recorded_dice(plan / 'of_own.jsonl', plan / 'own')


def test_records_without_confidence_are_refused_with_a_remedy(plan):
    images = recorded_dice(plan, plan / 'data')
    assert [image.confidence for image in images] == [None] * 3
    with pytest.raises(ProtocolError, match=r'i0: its record.*tools/test\.py'):
        confidences(images)


def test_no_more_images_of_a_site_than_requested_are_used(plan):
    found = recorded_dice(plan, plan / 'data', images_per_site=1)
    assert [image.path.name for image in found] == ['i0', 'i0']


@pytest.mark.parametrize(
    ('arguments', 'why'),
    [
        (dict(data_root=None), '--data-root'),
        (dict(method='c'), "method 'c'; choose one of b, a"),
        (dict(data_root='elsewhere'), r'elsewhere.s1.i0, an image of the records'),
    ],
)
def test_a_missing_data_root_method_or_image_is_named_in_the_error(
    plan, arguments, why
):
    with pytest.raises(ProtocolError, match=why):
        recorded_dice(plan, **{'data_root': plan / 'data', **arguments})


def test_folder_without_records_is_refused(tmp_path):
    with pytest.raises(ProtocolError, match='leave-one-site-out'):
        recorded_dice(tmp_path, tmp_path)


def test_records_of_oracle_runs_alone_are_refused(tmp_path, make_record):
    record = make_record('a', 's1', 0, [0.5], selection='oracle')
    append_record(tmp_path / 'records.jsonl', record)
    with pytest.raises(ProtocolError, match='chosen on the training sites'):
        recorded_dice(tmp_path, tmp_path)


def test_records_without_a_lesion_anywhere_are_refused(tmp_path, make_record):
    append_record(tmp_path / 'records.jsonl', make_record('a', 's1', 0, [None, None]))
    with pytest.raises(ProtocolError, match='no image with a lesion'):
        recorded_dice(tmp_path, tmp_path)


@pytest.mark.parametrize('name', ['../i0', '/etc/passwd'])
def test_image_outside_the_folder_of_the_sites_is_not_read(
    tmp_path, make_record, make_image, name
):
    (tmp_path / 'data' / 's1').mkdir(parents=True)
    (tmp_path / 'data' / 'i0').write_bytes(b'')
    record = make_record('a', 's1', images=[make_image(name, 0.5)])
    append_record(tmp_path / 'records.jsonl', record)
    with pytest.raises(ProtocolError, match='was not found'):
        recorded_dice(tmp_path, tmp_path / 'data')
