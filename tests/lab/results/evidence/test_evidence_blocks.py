import pytest

from mcdrl_lab.results.evidence import evidence_blocks as blocks


@pytest.fixture
def records(make_record):
    """Methods a, b and c at three sites with two seeds; a is better by 10 and 20."""
    return [
        make_record(method, site, seed, [base, base + 0.2, None])
        for method, base in (('a', 0.5), ('b', 0.4), ('c', 0.3))
        for site in ('s1', 's2', 's3')
        for seed in (0, 1)
    ]


def rows(table):
    """First cell -> header -> cell."""
    lines = [
        [cell.strip() for cell in line.strip('| ').split('|')]
        for line in table.splitlines()
        if line.startswith('|')
    ]
    return {line[0]: dict(zip(lines[0], line)) for line in lines[2:]}


def test_the_scores_table_has_a_column_of_false_positives(records):
    found = rows(blocks.scores_block(records))
    assert list(found) == ['a', 'b', 'c']
    assert found['a']['s1'] == found['a']['mean'] == '60.0 ± 0.0'
    assert found['a']['false positives'] == '100.0 ± 0.0'
    assert found['a']['seeds'] == '2'


def test_the_scores_table_has_dice_over_all_images_if_some_have_no_lesion(
    records, make_record
):
    # Dice 0.5 and 0.7, and 0 for a lesion-free image with a false positive.
    found = rows(blocks.scores_block(records))
    assert found['a']['all images'] == '40.0 ± 0.0'
    # Without lesion-free images it would be the mean again.
    found = rows(blocks.scores_block([make_record(dice=[0.5])]))
    assert 'all images' not in found['a']


def test_a_method_is_compared_with_all_others_or_with_some(records):
    found = rows(blocks.compare_block(records, 'a'))
    assert list(found) == ['a - b', 'a - c']
    assert found['a - b']['difference'] == '+10.0'
    # All images differ by 10 points: there is nothing to resample.
    assert found['a - b']['95 %, these sites'] == '–'  # noqa: RUF001
    assert found['a - b']['95 %, new sites'] == '–'  # noqa: RUF001
    assert found['a - b']['seeds'] == '2'
    # Six images, all better: p = 2 / 2 ** 6, times two comparisons by Holm.
    assert found['a - b']['p (Holm)'] == '0.0625'
    text = blocks.compare_block(records, 'a', ['c'])
    assert list(rows(text)) == ['a - c']
    assert rows(text)['a - c']['p (Holm)'] == '0.0312'
    assert 'count as independent' in text


def test_false_positives_are_compared_on_the_images_without_lesion(
    make_record, make_image
):
    # Of two lesion-free images a calls one diseased, b both.
    records = []
    for method, second in (('a', False), ('b', True)):
        images = [make_image(name, None) for name in ('x', 'y')]
        images[1]['false_positive'] = second
        images.append(make_image('z', 0.5))
        records += [
            make_record(method, site, images=images) for site in ('s1', 's2', 's3')
        ]
    table = blocks.compare_block(records, 'a', metric='false_positive')
    assert 'difference in false positives' in table
    assert rows(table)['a - b']['difference'] == '-50.0'
    # The three images that differ have the same sign: p = 2 / 2 ** 3.
    assert rows(table)['a - b']['p (Holm)'] == '0.2500'


def test_dice_over_all_images_is_compared_on_all_images(make_record, make_image):
    # a is worse on the lesion by 20 points, and right on the healthy image: +100.
    records = []
    for method, dice, wrong in (('a', 0.5, False), ('b', 0.7, True)):
        healthy = {**make_image('y', None), 'false_positive': wrong}
        images = [make_image('x', dice), healthy]
        records += [make_record(method, site, images=images) for site in ('s1', 's2')]
    table = blocks.compare_block(records, 'a', metric='dice_all')
    assert 'difference in Dice over all images' in table
    assert rows(table)['a - b']['difference'] == '+40.0'


def test_draws_stand_side_by_side_with_their_mean(records, make_record):
    # On the second draw a is better than b by 20 points and as good as c.
    second = [
        make_record(method, site, dice=[dice, dice, None])
        for method, dice in (('a', 0.5), ('b', 0.3), ('c', 0.5))
        for site in ('s1', 's2')
    ]
    draws = {'draw 1': records, 'draw 2': second}
    found = rows(blocks.draws_block(draws, 'a'))
    assert list(found) == ['a - b', 'a - c']
    assert (found['a - b']['draw 1'], found['a - b']['draw 2']) == ('+10.0', '+20.0')
    assert found['a - b']['mean'] == '+15.0'
    # Student's t with one degree of freedom: 15 +- 12.706 x 5.
    assert found['a - b']['95 %, new draws'] == '-48.5 to +78.5'
    assert found['a - c']['mean'] == '+10.0'
    assert list(rows(blocks.draws_block(draws, 'a', ['c']))) == ['a - c']
    table = blocks.draws_block(draws, 'a', metric='false_positive')
    assert 'difference in false positives' in table
    assert rows(table)['a - b']['mean'] == '+0.0'


def of_classes(make_record, make_image, gains):
    """Methods a and b on images of as many classes; a is better by these shares."""
    records = []
    for method in ('a', 'b'):
        images = [
            {
                **make_image(f'images/{n:05d}.png', 0.4 + gain * (method == 'a')),
                'lesion_classes': [name],
            }
            for n, (name, gain) in enumerate(gains.items())
        ]
        for site in ('endosim_a', 'endosim_b'):
            records.append(make_record(method, site, images=images))
    return records


def test_lesion_classes_have_rows_of_their_own(make_record, make_image):
    records = of_classes(make_record, make_image, dict(cyst=0.1, nodule=0.3))
    found = rows(blocks.lesion_classes_block(records, 'a', 'b'))
    assert {name: row['difference'] for name, row in found.items()} == {
        'cyst': '+10.0',
        'nodule': '+30.0',
    }
    assert (found['nodule']['a'], found['nodule']['b']) == ('70.0', '40.0')
    assert found['nodule']['images'] == '2'


def test_lesion_classes_of_several_draws_stand_side_by_side(make_record, make_image):
    first = of_classes(make_record, make_image, dict(cyst=0.1, nodule=0.3))
    second = of_classes(make_record, make_image, dict(cyst=0.2, nodule=0.1))
    draws = {'0': first, '11': second}
    found = rows(blocks.draws_lesion_classes_block(draws, 'a', 'b'))
    assert list(found) == ['cyst', 'nodule']
    assert (found['cyst']['0'], found['cyst']['11']) == ('+10.0', '+20.0')
    assert found['nodule']['mean'] == '+20.0'
    # Student's t with one degree of freedom: 20 +- 12.706 x 10.
    assert found['nodule']['95 %, new draws'] == '-107.1 to +147.1'


def test_settings_are_shown_in_the_requested_order_with_their_cost(records):
    costs = {'b': {'milliseconds': 1.26, 'intervention_parameters': 12345}}
    found = rows(blocks.sweep_block(records, ['c', 'a', 'b'], 'a', costs))
    assert list(found) == ['c', 'a', 'b']
    assert found['c']['difference to a'] == '-20.0'
    assert found['a']['difference to a'] == '–'  # noqa: RUF001
    assert (found['b']['ms an image'], found['b']['parameters']) == ('1.3', '12,345')
    assert found['a']['ms an image'] == '–'  # noqa: RUF001


@pytest.fixture
def effects(records, make_record):
    """At 0 the methods are the same, at 1 they differ by 10 points."""
    same = [
        make_record(method, r.held_out, r.seed, [0.5, 0.7])
        for method in 'ab'
        for r in records
        if r.method == 'a'
    ]
    return blocks.shift_effects({1.0: records, 0.0: same}, 'a', 'b')


def test_the_effect_at_each_strength_of_the_shift_has_a_row(effects):
    text = blocks.shift_block(effects, 'images/x.png')
    assert text.startswith('![a - b by strength of the shift](images/x.png)')
    found = rows(text)
    assert list(found) == ['0', '1']
    assert [row['difference'] for row in found.values()] == ['+0.0', '+10.0']
    assert (found['1']['a'], found['1']['b']) == ('60.0', '50.0')


def test_the_figure_shows_both_methods_and_their_difference(effects):
    scores, gains = blocks.shift_figure(effects).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in scores.get_lines()}
    assert lines['a'] == pytest.approx([60, 60])
    assert lines['b'] == pytest.approx([60, 50])
    assert list(gains.get_lines()[0].get_ydata()) == pytest.approx([0, 10])


def test_the_effect_of_the_shift_can_be_shown_for_dice_over_all_images(
    make_record, make_image
):
    # a is worse on the lesion by 20 points, and right on the healthy image: +40.
    records = []
    for method, dice, wrong in (('a', 0.5, False), ('b', 0.7, True)):
        healthy = {**make_image('y', None), 'false_positive': wrong}
        images = [make_image('x', dice), healthy]
        records += [make_record(method, site, images=images) for site in ('s1', 's2')]
    effects = blocks.shift_effects({1.0: records}, 'a', 'b', 'dice_all')
    (found,) = rows(blocks.shift_block(effects, 'images/x.png', 'dice_all')).values()
    assert found['Dice over all images, by strength'] == '1'
    assert (found['a'], found['b'], found['difference']) == ('75.0', '35.0', '+40.0')
    scores, _ = blocks.shift_figure(effects, 'dice_all').axes
    assert scores.get_ylabel() == 'Dice over all images, held-out site (%)'


def test_runs_are_counted_with_their_training_length_and_hours(records):
    (found,) = rows(blocks.runs_block({'sites': records})).values()
    assert found == {
        'records': 'sites',
        'methods': '3',
        'sites': '3',
        'seeds': '2',
        'runs': '18',
        'epochs x images': '5 x 40',
        # 18 runs of 10 s.
        'hours': '0.1',
    }


def test_means_that_lack_runs_have_a_note(records):
    some = [r for r in records if (r.method, r.held_out, r.seed) != ('b', 's2', 1)]
    note = 'Left out, since only one of the two finished: s2 seed 1.\n'
    draws = {'0': records, '11': some}
    assert blocks.draws_block(draws, 'a', ['b', 'c']).endswith(f'\n- a - b, 11: {note}')
    assert blocks.draws_block({'0': records}, 'a').endswith('|\n')
    by_class = blocks.draws_lesion_classes_block(draws, 'a', 'b')
    assert by_class.endswith(f'|\n\n- 11: {note}')
    sweep = blocks.sweep_block(some, ['a', 'b', 'c'], 'a', {})
    assert sweep.endswith(f'|\n\n- b: {note}')
    effects = blocks.shift_effects({0.5: records, 1.0: some}, 'a', 'b')
    assert blocks.shift_block(effects, 'x.png').endswith(f'|\n\n- 1: {note}')
