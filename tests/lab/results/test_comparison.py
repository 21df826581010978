import dataclasses
import math

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.comparison import (
    check_comparable,
    compare,
    mean_difference,
)
from mcdrl_lab.results.comparison_tables import comparison_markdown, effect_table


def test_effects_over_all_sites_and_at_each_site_match_hand_worked_values(two_methods):
    (comparison,) = compare(two_methods, 'a', ['b'])
    assert comparison.overall.difference == pytest.approx(5.0)
    assert comparison.overall.a == pytest.approx(50.0)
    assert comparison.overall.b == pytest.approx(45.0)
    effects = {effect.site: effect.difference for effect in comparison.sites}
    assert effects == {'s1': pytest.approx(10.0), 's2': pytest.approx(0.0)}
    assert comparison.sites[0].images == 3
    assert comparison.sites[0].seeds == 2


def test_the_mean_difference_equals_that_of_the_full_comparison(two_methods):
    (comparison,) = compare(two_methods, 'a', ['b'])
    found = mean_difference(two_methods, 'a', 'b')
    assert found == pytest.approx(comparison.overall.difference)


def test_swapping_the_methods_swaps_the_sign(two_methods):
    (there,) = compare(two_methods, 'a', ['b'])
    (back,) = compare(two_methods, 'b', ['a'])
    assert back.overall.difference == pytest.approx(-there.overall.difference)
    assert back.overall.p == there.overall.p


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'data_hash': 'e' * 64}, 'differ in data: hash eeeeeeeeeeee against dddd'),
        (
            {'budget': {'epochs': 9, 'batch_size': 4}},
            r'differ in budget: epochs 9 against 5, image_size None against \[64, 64\]',
        ),
    ],
)
def test_runs_with_different_data_or_budget_are_not_compared(
    two_methods, changed, message
):
    records = [
        dataclasses.replace(r, **changed) if r.method == 'a' else r for r in two_methods
    ]
    with pytest.raises(ProtocolError, match=message):
        compare(records, 'a', ['b'])


def test_one_run_with_another_budget_among_many_is_found(two_methods):
    records = list(two_methods)
    budget = {**records[-1].budget, 'train_images': 41}
    records[-1] = dataclasses.replace(records[-1], budget=budget)
    with pytest.raises(ProtocolError, match=r's2, seed 1.*train_images 40 against 41'):
        compare(records, 'a', ['b'])


def test_runs_tested_with_different_masks_of_an_image_are_not_compared(two_methods):
    def counted(record, lesion):
        counts = {'tp': 1, 'fn': lesion - 1, 'pixels': 90}
        images = [{**image, **counts} for image in record.images]
        return dataclasses.replace(record, images=images)

    records = [counted(record, 7) for record in two_methods]
    assert compare(records, 'a', ['b'])[0].overall.difference == pytest.approx(5.0)
    # A run without pixel counts is not checked.
    records[0] = two_methods[0]
    assert compare(records, 'a', ['b'])[0].overall.difference == pytest.approx(5.0)
    records[-1] = counted(two_methods[-1], 8)
    words = r'b \(seed 1\) were tested .* at s2: in i0, 7 of 90 .* 8 of 90 in the'
    with pytest.raises(ProtocolError, match=words):
        compare(records, 'a', ['b'])
    with pytest.raises(ProtocolError, match=words):
        mean_difference(records, 'a', 'b')


def test_a_budget_read_from_a_file_equals_one_just_made(make_record):
    made = make_record('a', budget={'image_size': (64, 64)})
    read = make_record('b', budget={'image_size': [64, 64]})
    check_comparable([made], [read])


def test_oracle_runs_are_not_compared_with_validation_runs(make_record):
    honest = make_record('a', dice=[0.5])
    oracle = make_record('b', dice=[0.5], selection='oracle')
    with pytest.raises(ProtocolError, match='validation against oracle'):
        check_comparable([honest], [oracle])
    with pytest.raises(ProtocolError, match=r'no finished run of b \(validation\)'):
        compare([honest, oracle], 'a', ['b'])


def test_an_unknown_method_is_named_with_the_known_ones(two_methods):
    with pytest.raises(ProtocolError, match=r'run of c .*a \(validation\), b'):
        compare(two_methods, 'a', ['c'])


def test_a_method_is_not_compared_with_itself(two_methods):
    with pytest.raises(ProtocolError, match='with itself'):
        compare(two_methods, 'a', ['a'])


def test_a_method_that_is_listed_twice_is_refused(two_methods):
    with pytest.raises(ProtocolError, match='listed twice: b;'):
        compare(two_methods, 'a', ['b', 'b'])


def test_holm_corrects_over_all_requested_comparisons(make_record):
    # Six images, all better than b and c: p = 2 / 64 each, Holm 2 * 2 / 64.
    records = [
        make_record(name, dice=[base + 0.01 * n * gain for n in range(1, 7)])
        for name, base, gain in (('a', 0.5, 2), ('b', 0.4, 1), ('c', 0.3, 1))
    ]
    first, second = compare(records, 'a', ['b', 'c'])
    assert first.overall.p == second.overall.p == pytest.approx(2 / 64)
    assert first.overall.p_holm == pytest.approx(4 / 64)
    (alone,) = compare(records, 'a', ['b'])
    assert alone.overall.p_holm == pytest.approx(2 / 64)


def test_site_wise_tests_are_corrected_over_all_sites(make_record):
    records = [
        make_record(name, site, dice=[base + 0.01 * n * gain for n in range(1, 7)])
        for name, base, gain in (('a', 0.5, 2), ('b', 0.4, 1))
        for site in ('s1', 's2', 's3')
    ]
    (comparison,) = compare(records, 'a', ['b'])
    assert [e.p for e in comparison.sites] == [pytest.approx(2 / 64)] * 3
    assert [e.p_holm for e in comparison.sites] == [pytest.approx(6 / 64)] * 3


def test_a_comparison_without_site_rows_has_the_same_overall_result(two_methods):
    (whole,) = compare(two_methods, 'a', ['b'])
    (short,) = compare(two_methods, 'a', ['b'], by_site=False)
    assert len(whole.sites) == 2
    assert short == dataclasses.replace(whole, sites=())


def test_runs_that_only_one_method_finished_are_left_out_and_noted(two_methods):
    (comparison,) = compare(two_methods[:-1], 'a', ['b'])
    assert comparison.sites[1].seeds == 1
    assert 'only one of the two finished: s2 seed 1.' in comparison.notes[0]


def test_unpaired_images_are_noted_in_addition_to_an_unpaired_run(
    two_methods, make_record
):
    other = make_record('a', 's1', 0, [0.9, 0.9, 0.9, 0.9])
    (comparison,) = compare([*two_methods[:-1], other], 'a', ['b'])
    assert 'only one of the two finished: s2 seed 1.' in comparison.notes[0]
    assert comparison.notes[1] == '1 scores have no partner and were left out.'


def test_a_site_where_the_metric_is_undefined_is_noted(two_methods, make_record):
    healthy = [make_record(name, 's0', 0, [None, None]) for name in ('a', 'b')]
    (comparison,) = compare([*healthy, *two_methods], 'a', ['b'])
    assert [effect.site for effect in comparison.sites] == ['s1', 's2']
    assert comparison.notes[0] == 'Undefined, and in no mean, at: s0.'
    assert not any('Undefined' in n for n in compare(two_methods, 'a', ['b'])[0].notes)


def test_a_site_with_a_single_image_is_noted(two_methods, make_record):
    one = [make_record(n, 's3', s, [0.5 + s]) for n in ('a', 'b') for s in (0, 1)]
    (comparison,) = compare([*two_methods, *one], 'a', ['b'])
    (note,) = [n for n in comparison.notes if n.startswith('One sequence or image')]
    assert note.startswith('One sequence or image only at s3: ')


def test_the_latest_record_of_a_run_counts(two_methods, make_record):
    again = make_record('a', 's1', 0, [0.9, 0.9, 0.9])
    failed = make_record('a', 's1', 0, status='failed', error='x')
    (comparison,) = compare([failed, *two_methods, again], 'a', ['b'])
    # s1: seed 0 differs by 50 on average, seed 1 by 10.
    assert comparison.sites[0].difference == pytest.approx(30.0)


def test_an_interval_about_new_sites_needs_three_sites(two_methods, make_record):
    assert compare(two_methods, 'a', ['b'])[0].new_sites is None
    more = [make_record(n, 's3', s, [0.5] * 3) for n in ('a', 'b') for s in (0, 1)]
    interval = compare([*two_methods, *more], 'a', ['b'])[0].new_sites
    assert interval is not None and interval.low <= interval.high


def test_markdown_shows_numbers_and_caveats(two_methods):
    (comparison,) = compare(two_methods, 'a', ['b'])
    text = comparison_markdown(comparison)
    assert '## a against b, dice' in text
    assert '+10.0' in text
    assert '6 images belong to no known sequence' in text
    assert 'Too few sites for an interval about new sites.' in text


def test_the_effect_table_has_a_row_for_new_sites_without_a_p_value(make_record):
    records = [
        make_record(name, f's{n}', 0, [0.5 + gain * n, 0.6 + gain])
        for n in range(4)
        for name, gain in (('a', 0.1), ('b', 0.0))
    ]
    table = effect_table(compare(records, 'a', ['b'])[0])
    assert table['label'].tolist() == [
        'mean over these sites',
        'mean, new sites',
        's0',
        's1',
        's2',
        's3',
    ]
    assert math.isnan(table['p'][1])
    assert table['low'][1] < table['difference'][1] < table['high'][1]
    assert table['difference'][1] == table['difference'][0]


@pytest.mark.parametrize('other, told', [(None, 'none'), ('v2', "'v2'")])
def test_runs_with_different_sequences_of_an_image_are_not_compared(
    make_record, make_image, other, told
):
    def record(method, sequence):
        images = [make_image('i0', 0.5, 'v1'), make_image('i1', 0.5, sequence)]
        return make_record(method, images=images)

    compare([record('a', 'v1'), record('b', 'v1')], 'a', ['b'], resamples=10)
    words = f"at s1: i1 belongs to 'v1' in one run, and to {told} in the other"
    with pytest.raises(ProtocolError, match=words):
        compare([record('a', 'v1'), record('b', other)], 'a', ['b'])
