import csv

import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.results.comparison import compare
from mcdrl_lab.results.comparison_tables import lesion_class_cells
from mcdrl_lab.results.lesion_classes import (
    compare_by_lesion_class,
    lesion_class_names,
    of_lesion_class,
)

CLASSES = (['cyst'], ['nodule'], ['cyst', 'nodule'], [])


@pytest.fixture
def records(make_record, make_image):
    """On a cyst a is better than b by 10 points, on a nodule by 30, on both by 20."""
    found = []
    for method, scores in (('a', (0.5, 0.6, 0.7)), ('b', (0.4, 0.3, 0.5))):
        for site in ('s1', 's2'):
            images = [make_image(f'i{n}', d) for n, d in enumerate((*scores, None))]
            images = [
                {**image, 'lesion_classes': classes}
                for image, classes in zip(images, CLASSES)
            ]
            found.append(make_record(method, site, images=images))
    return found


def test_each_class_is_compared_on_its_own_images(records):
    found = {
        each.lesion_class: each.overall
        for each in compare_by_lesion_class(records, 'a', ['b'], resamples=50)
    }
    # An image of both classes counts in both: means of 10 and 20, of 30 and 20.
    assert {name: effect.difference for name, effect in found.items()} == {
        'cyst': pytest.approx(15.0),
        'nodule': pytest.approx(25.0),
    }
    assert found['cyst'].a == pytest.approx(60.0)
    assert found['nodule'].b == pytest.approx(40.0)
    # Two images at each of two sites.
    assert [effect.images for effect in found.values()] == [4, 4]


def test_a_class_has_the_results_of_a_comparison_of_its_images_alone(records):
    (cyst, _) = compare_by_lesion_class(records, 'a', ['b'], resamples=50)
    (alone,) = compare(of_lesion_class(records, 'cyst'), 'a', ['b'], resamples=50)
    assert cyst.sites == alone.sites
    assert cyst.overall.interval == alone.overall.interval
    # Four images, all better: p = 2 / 2 ** 4; Holm takes both classes.
    assert alone.overall.p_holm == pytest.approx(0.125)
    assert cyst.overall.p_holm == pytest.approx(0.25)


def test_a_site_without_the_class_is_in_no_mean(records):
    for record in records:
        if record.held_out == 's2':
            record.images[:] = [
                {**image, 'lesion_classes': ['cyst']} if image['has_lesion'] else image
                for image in record.images
            ]
    found = compare_by_lesion_class(records, 'a', ['b'], resamples=50)
    sites = {e.lesion_class: [s.site for s in e.sites] for e in found}
    assert sites == {'cyst': ['s1', 's2'], 'nodule': ['s1']}


def test_the_table_cells_match_hand_worked_values(records):
    cells = lesion_class_cells(compare_by_lesion_class(records, 'a', ['b']))
    nodule = cells.loc['nodule']
    assert (nodule['a'], nodule['b'], nodule['difference']) == ('65.0', '40.0', '+25.0')
    assert nodule['95 %, new sites'] == '–'  # noqa: RUF001
    assert (nodule['images'], nodule['seeds']) == ('4', '1')


def test_an_image_without_lesion_classes_is_named_with_a_remedy(records):
    del records[1].images[2]['lesion_classes']
    with pytest.raises(
        ProtocolError, match=r'a, s2, seed 0: image i2 .* evidence keep'
    ):
        lesion_class_names(records)
    # A lesion-free image needs none.
    del records[1].images[3]['lesion_classes']
    records[1].images[2]['lesion_classes'] = ['cyst']
    assert lesion_class_names(records) == ['cyst', 'nodule']
    with pytest.raises(ProtocolError, match='no finished run of c'):
        compare_by_lesion_class(records, 'c', ['b'])


def test_a_class_that_one_method_was_not_tested_on_is_left_out_and_noted(
    make_record, make_image
):
    def record(method, site, name):
        images = [make_image(f'i{n}', 0.5) | dict(lesion_classes=[name]) for n in '12']
        return make_record(method, site, images=images)

    records = [record('a', 's1', 'nodule'), record('a', 's2', 'cyst')]
    records += [record(b, 's1', 'nodule') for b in 'bc'] + [record('c', 's2', 'cyst')]
    found = compare_by_lesion_class(records, 'a', ['b', 'c'], resamples=50)
    assert [(each.lesion_class, each.b) for each in found] == [
        ('cyst', 'c'),
        ('nodule', 'b'),
        ('nodule', 'c'),
    ]
    left_out = [
        [note for note in each.notes if 'no image of it was' in note] for each in found
    ]
    assert [len(notes) for notes in left_out] == [0, 1, 0]
    assert left_out[1][0].endswith('tested with both: cyst.')
    with pytest.raises(ProtocolError, match='nothing to compare'):
        compare_by_lesion_class([records[1], *records[2:3]], 'a', ['b'])


def test_compare_prints_and_writes_the_comparison_by_lesion_class(
    records, tmp_path, capsys
):
    for record in records:
        append_record(tmp_path / 'records.jsonl', record)
    out = tmp_path / 'out'
    words = ['compare', str(tmp_path), 'a', 'b', '--by-lesion-class', '--out', str(out)]
    assert not main(words)
    shown = capsys.readouterr().out
    assert '## a against b, dice, by lesion class' in shown
    text = (out / 'compare_a_b_dice_by_lesion_class.md').read_text()
    assert '+25.0' in text and text.partition('\nRuns: ')[0] in shown
    with open(out / 'compare_a_b_dice_by_lesion_class.csv', newline='') as file:
        table = list(csv.DictReader(file))
    assert [(row['lesion_class'], row['label']) for row in table] == [
        (name, label)
        for name in ('cyst', 'nodule')
        for label in ('mean over these sites', 's1', 's2')
    ]
