import pytest

from mcdrl_lab.data.site_index import COLUMNS, index_text, merge_rows, read_index
from mcdrl_lab.errors import ConversionError


def row(site, image, **more):
    return {**dict.fromkeys(COLUMNS, ''), 'site': site, 'image': image, **more}


def test_rows_survive_writing_and_reading(tmp_path):
    rows = [row('a', 'a/images/1, "x".jpg', sequence='s1'), row('b', 'b/images/é.jpg')]
    path = tmp_path / 'index.csv'
    path.write_text(index_text(rows), encoding='utf-8')
    assert read_index(path) == rows


def test_header_holds_the_columns_in_their_order():
    assert index_text([]) == (
        'site,image,mask,sequence,patient,classes,foreground,height,width,'
        'source_image,source_mask\n'
    )


def test_new_rows_of_a_site_replace_its_old_ones_and_other_sites_keep_theirs():
    old = [row('b', '1'), row('b', '2'), row('c', '3', patient='p')]
    merged = merge_rows(old, 'b', [row('b', '9')])
    assert merged == [row('b', '9'), row('c', '3', patient='p')]
    merged = merge_rows(merged, 'a', [row('a', '5'), row('a', '4')])
    assert [r['image'] for r in merged] == ['5', '4', '9', '3']


def test_columns_that_the_user_added_are_kept():
    old = [row('a', '1', centre='Oslo'), row('b', '2', centre='Rome')]
    merged = merge_rows(old, 'a', [row('a', '1'), row('a', '7')])
    assert [r['centre'] for r in merged] == ['Oslo', '', 'Rome']
    assert {tuple(r) for r in merged} == {(*COLUMNS, 'centre')}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('image,mask\n1,2\n', "columns \\['site'.* are missing"),
        (','.join(COLUMNS) + '\na,b\n', 'entry 1: expected 11 values'),
        (','.join(COLUMNS) + '\n' + 'x,' * 11 + 'y\n', 'entry 1: expected 11 values'),
        ('', 'columns .* are missing'),
    ],
)
def test_files_that_are_not_an_index_are_refused(tmp_path, text, message):
    path = tmp_path / 'index.csv'
    path.write_text(text)
    with pytest.raises(ConversionError, match=message):
        read_index(path)


def test_a_missing_index_is_named(tmp_path):
    with pytest.raises(ConversionError, match=r'index\.csv'):
        read_index(tmp_path / 'index.csv')
