from dataclasses import replace

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.evidence.drawn_block import drawn_block, read_cells

TABLE = """site,image,lesion_share,case,condition,strength
c1,c1/images/a.jpg,0.1,0,,0.000
c1,c1/images/b.jpg,0.1,0,blur,0.700
c1,c1/images/c.jpg,0.4,1,,0.000
c1,c1/images/d.jpg,0.4,1,mucus,0.600
c1,c1/images/e.jpg,0.4,1,blood,0.900
"""


@pytest.fixture
def cells(tmp_path):
    path = tmp_path / 'conditions.csv'
    path.write_text(TABLE)
    return read_cells(path)


@pytest.fixture
def record(make_record):
    """One run whose images a to e have the Dice that a test names."""

    def make(method, dice):
        made = make_record(method, 'c1', 0, dice)
        for image, name in zip(made.images, 'abcde'):
            image['image'] = f'images/{name}.jpg'
        return made

    return make


def last_row(text):
    return [cell.strip() for cell in text.splitlines()[-1].split('|')[2:-1]]


def test_dice_by_case_and_condition_and_their_interaction(cells, record):
    # In cases the condition adds (0.9 + 0.7) / 2 - 0.75 = 5 points, else it takes 20.
    text = drawn_block([record('m', [0.7, 0.5, 0.75, 0.9, 0.7])], cells)
    assert last_row(text) == ['70.0', '50.0', '75.0', '80.0', '+25.0']


def test_images_without_a_lesion_do_not_count_in_the_dice(cells, record):
    text = drawn_block([record('m', [0.7, 0.5, 0.75, None, 0.7])], cells)
    assert last_row(text) == ['70.0', '50.0', '75.0', '70.0', '+15.0']


def test_an_image_missing_from_the_table_is_named_in_the_error(cells, record):
    del cells['c1/images/c.jpg']
    with pytest.raises(ProtocolError, match=r'lacks c1/images/c\.jpg'):
        drawn_block([record('m', [0.7, 0.5, 0.75, 0.9, 0.7])], cells)


def test_a_table_with_other_columns_is_refused(tmp_path):
    path = tmp_path / 'index.csv'
    path.write_text('image,patient\na,1\n')
    with pytest.raises(ProtocolError, match=r'index\.csv: expected the columns'):
        read_cells(path)


PRESENCE = """site,image,lesion_share,case,condition,strength
c1,c1/images/a.jpg,0.0,0,,0.000
c1,c1/images/b.jpg,0.0,0,blur,0.700
c1,c1/images/c.jpg,0.0,0,blood,0.700
c1,c1/images/d.jpg,0.4,1,,0.600
c1,c1/images/e.jpg,0.4,1,blood,0.900
"""


def test_if_only_cases_have_a_lesion_the_others_count_by_false_positives(
    tmp_path, record
):
    path = tmp_path / 'conditions.csv'
    path.write_text(PRESENCE)
    made = record('m', [None, None, None, 0.5, 0.75])
    for image, wrong in zip(made.images, (False, True, False)):
        image['false_positive'] = wrong
    text = drawn_block([made], read_cells(path))
    assert last_row(text) == ['50.0', '75.0', '+25.0', '0.0', '50.0', '+50.0']


def test_sites_count_equally_however_many_images_they_have(cells, make_record):
    first = make_record('m', 'c1', 0, [0.8, 0.7, 0.6, 0.5])
    second = make_record('m', 'c2', 0, [0.2, 0.1, 0.1, 0.1])
    for made, names in ((first, 'abcd'), (second, 'abcd')):
        for image, name in zip(made.images, names):
            image['image'] = f'images/{name}.jpg'
    # At c2 all images but one are unchanged and not a case.
    table = {f'c2/images/{name}.jpg': (False, False) for name in 'abc'}
    text = drawn_block([first, second], {**cells, **table, 'c2/images/d.jpg': (1, 1)})
    # (80 + (20 + 10 + 10) / 3) / 2; with equal weights of images it would be 30.
    assert last_row(text)[0] == '46.7'


def test_oracle_runs_are_left_out(cells, record):
    honest = record('m', [0.7, 0.5, 0.75, 0.9, 0.7])
    oracle = replace(record('m', [1.0] * 5), selection='oracle')
    assert drawn_block([honest, oracle], cells) == drawn_block([honest], cells)
