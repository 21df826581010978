import math

import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord, append_record
from mcdrl_lab.results.comparison import compare
from mcdrl_lab.results.image_metrics import lower_is_better
from mcdrl_lab.results.lesion_intervals import false_an_image, lesions_found
from mcdrl_lab.results.scores import image_scores


@pytest.fixture
def counted(make_image):
    """Makes an image with small and large lesions, each (lesions, found, closely)."""

    def make(name, small=(0, 0, 0), large=(0, 0, 0), false=0, site='s1'):
        lesions = dict(small=list(small), medium=[0, 0, 0], large=list(large))
        lesions |= dict(predicted=9, false=false, false_iou50=false + 1)
        dice = 0.5 if small[0] + large[0] else None
        return make_image(name, dice, site=site) | dict(lesions=lesions)

    return make


def test_lesion_metrics_of_an_image_are_shares_or_counts_where_defined(
    make_record, counted
):
    images = [
        counted('i0', small=(2, 1, 0), large=(1, 1, 1), false=2),
        counted('i1', false=3),
    ]
    records = [make_record(images=images)]

    def scores(metric):
        return image_scores(records, metric)['score'].tolist()

    assert scores('lesion_recall') == [pytest.approx(200 / 3)]
    assert scores('lesion_recall_iou50') == [pytest.approx(100 / 3)]
    assert scores('lesion_recall_small') == [50.0]
    assert scores('lesion_recall_medium') == []
    # Of all images, and not a share.
    assert scores('false_lesions') == [2, 3]
    assert lower_is_better('false_lesions') and not lower_is_better('lesion_recall')


def test_shares_of_lesions_found_are_estimated_by_size_with_intervals(
    make_record, counted
):
    images = [
        *(counted(f'a{n}', small=(2, 2, 1)) for n in range(4)),
        *(counted(f'b{n}', small=(2, 0, 0), large=(1, 1, 1)) for n in range(4)),
    ]
    found = {f.kind: f for f in lesions_found([make_record(images=images)])}
    assert list(found) == ['all lesions', 'small', 'large']
    assert (found['small'].lesions, found['all lesions'].lesions) == (16, 20)
    assert found['small'].found.value == 50.0
    assert found['small'].found_iou50.value == 25.0
    assert found['all lesions'].found.value == pytest.approx(100 * 12 / 20)
    low, high = found['small'].found.interval.low, found['small'].found.interval.high
    # Images are resampled: in each, all small lesions are found or none.
    assert low < 20 and high > 80
    # All four large lesions were found: nothing varies that could be resampled.
    assert math.isnan(found['large'].found.interval.low)


def test_sites_weigh_the_same_and_seeds_do_not_add_lesions(make_record, counted):
    records = [
        make_record('m', site, seed, images=images)
        for site, images in (
            ('s1', [counted('i', small=(4, 4, 4))]),
            ('s2', [counted('i', small=(1, 0, 0))]),
        )
        for seed in (0, 1)
    ]
    found = {f.kind: f for f in lesions_found(records)}
    assert found['all lesions'].found.value == 50.0
    assert found['all lesions'].lesions == 5
    assert found['at s2'].found.value == 0.0


def test_false_lesions_are_counted_per_image(make_record, counted):
    images = [counted('i0', small=(1, 1, 1), false=1), counted('i1', false=4)]
    share = false_an_image([make_record(images=images)], 'false_lesions')
    assert share.value == 2.5 and share.interval.low < share.interval.high


def test_a_single_image_has_no_interval_and_older_records_no_estimate(
    make_record, counted
):
    (found, _) = lesions_found([make_record(images=[counted('i', small=(1, 1, 0))])])
    assert found.found.value == 100.0 and math.isnan(found.found.interval.low)
    assert lesions_found([make_record(dice=[0.5])]) == []
    assert false_an_image([make_record(dice=[0.5])], 'false_lesions') is None


def test_methods_are_compared_by_lesions_found(make_record, counted, tmp_path, capsys):
    records = [
        make_record(method, site, images=[counted(f'i{n}', large=own) for n in (0, 1)])
        for site in ('s1', 's2')
        for method, own in (('a', (2, 2, 2)), ('b', (2, 1, 0)))
    ]
    (result,) = compare(records, 'a', ['b'], 'lesion_recall', resamples=50)
    assert (result.overall.a, result.overall.difference) == (100.0, 50.0)
    for record in records:
        append_record(tmp_path / 'records.jsonl', record)
    arguments = ['compare', str(tmp_path), 'a', 'b', '--metric', 'lesion_recall_iou50']
    assert main(arguments) == 0
    assert '+100.0' in capsys.readouterr().out


def test_records_without_lesion_counts_cannot_be_compared_by_lesions_found(two_methods):
    with pytest.raises(
        ProtocolError, match='older version made the records and did not record it'
    ):
        compare(two_methods, 'a', ['b'], 'lesion_recall')


def test_damaged_counts_in_a_record_are_refused(make_record, counted):
    image = counted('i0', small=(1, 1, 1))
    values = make_record(images=[image | dict(lesions=dict(small=[1]))]).__dict__
    with pytest.raises(ProtocolError, match=r"images\[0\].*'lesions'"):
        RunRecord.from_dict(values)


@pytest.mark.reliability('security', 'a record that states any number of lesions')
def test_more_lesions_than_the_limit_are_refused(make_record, counted):
    records = [make_record(images=[counted('i0', small=(3_000_000, 0, 0))])]
    with pytest.raises(ProtocolError, match='3000000 lesions of a: the limit'):
        lesions_found(records)
