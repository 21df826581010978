from pathlib import Path

import pytest

from mcdrl_common.image_index import ImageIndex, ImageIndexError, IndexRow

IMAGES = [Path('a/images', f'{number:03}.png') for number in range(4)]
TEXT = 'site,image,patient\na,a/images/000.png,Käse\n'


def index(rows) -> ImageIndex:
    return ImageIndex(Path('nowhere/index.csv'), [IndexRow(*row) for row in rows])


def kinds(indexed) -> list[str]:
    return [finding.kind for finding in indexed.findings]


@pytest.mark.parametrize(
    'form', ['a/images/{}.png', '{}.png', '{}', 'a\\images\\{}.png', '{}.JPG']
)
def test_rows_name_images_with_or_without_folder_and_extension(form):
    rows = [
        ('a', form.format(image.stem), '', 'pq'[n > 1])
        for n, image in enumerate(IMAGES)
    ]
    indexed = index(rows).images_of(['a'], IMAGES)
    assert list(indexed.groups.values()) == ['p', 'p', 'q', 'q']
    assert not indexed.findings and not indexed.cut


def test_lost_leading_zeros_are_reported_and_prevent_splitting():
    rows = [('a', f'{number}.png', '', 'p') for number in range(4)]
    indexed = index(rows).images_of(['a'], IMAGES)
    assert (
        kinds(indexed)
        == ['index row without image'] * 4 + ['image without index row'] * 4
    )
    assert (
        '002.png exists: did a spreadsheet drop leading zeros?'
        in indexed.findings[2].detail
    )
    assert '4 of 4 images have no row' in indexed.cut


@pytest.mark.reliability('silent', 'index rows without image, images without row')
def test_images_without_row_and_rows_without_image_are_reported():
    rows = [('a', '000.png', '', 'p'), ('a', '009.png', '', 'q')]
    indexed = index(rows).images_of(['a'], IMAGES[:2])
    assert [(f.kind, f.file) for f in indexed.findings] == [
        ('index row without image', 'a: 009.png'),
        ('image without index row', 'a: 001.png'),
    ]
    assert '001.png' in indexed.cut
    # An image that was taken away harms nothing.
    assert not index(rows).images_of(['a'], IMAGES[:1]).cut


def test_rows_without_a_patient_are_accepted():
    indexed = index([('a', '000.png')]).images_of(['a'], IMAGES)
    assert not indexed.findings and not indexed.cut


def test_a_site_under_another_name_is_reported_and_must_not_be_split():
    indexed = index([('A', '000.png', '', 'p')]).images_of(['a'], IMAGES)
    assert kinds(indexed) == ['misnamed site in the index']
    assert "['A']" in indexed.cut


def test_a_site_missing_from_an_index_of_other_sites_may_be_split(tmp_path):
    (tmp_path / 'b').mkdir()
    known = ImageIndex(tmp_path / 'index.csv', [IndexRow('b', '000.png', '', 'p')])
    indexed = known.images_of(['a'], IMAGES)
    assert kinds(indexed) == ['site without index']
    assert not indexed.cut


def test_differing_rows_of_one_image_are_reported():
    rows = [('a', '000.png', '', 'p'), ('a', '000', '', 'q')]
    indexed = index(rows).images_of(['a'], IMAGES[:1])
    assert kinds(indexed) == ['index rows that differ']
    assert '000.png' in indexed.cut


def test_images_without_a_patient_beside_others_with_one_are_reported():
    rows = [('a', '000.png', '', 'p'), ('a', '001.png', '', '')]
    indexed = index(rows).images_of(['a'], IMAGES[:2])
    assert kinds(indexed) == ['image of unknown patient']


def test_a_sequence_is_not_divided_if_only_some_of_its_rows_name_the_patient():
    rows = [('S1', 'p'), ('S1', ''), ('S2', 'q'), ('S3', '')]
    indexed = index(
        [('a', image.name, *row) for image, row in zip(IMAGES, rows)]
    ).images_of(['a'], IMAGES)
    assert list(indexed.groups.values()) == ['p', 'p', 'q', 'S3']
    assert not indexed.findings


def test_images_of_a_sequence_that_two_patients_share_are_reported():
    """The third image could show either patient."""
    rows = [('1', 'p'), ('1', 'q'), ('1', '')]
    indexed = index(
        [('a', image.name, *row) for image, row in zip(IMAGES, rows)]
    ).images_of(['a'], IMAGES[:3])
    assert list(indexed.groups.values()) == ['p', 'q', '1']
    assert kinds(indexed) == ['image of unknown patient']


@pytest.mark.reliability('silent', 'an index in UTF-16, with semicolons or tabs')
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('delimiter', [',', ';', '\t'])
def test_an_index_is_read_in_the_encodings_and_delimiters_of_spreadsheet_programs(
    tmp_path, encoding, delimiter
):
    file = tmp_path / 'index.csv'
    file.write_text(TEXT.replace(',', delimiter), encoding)
    assert ImageIndex.read(file).rows == [IndexRow('a', 'a/images/000.png', '', 'Käse')]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (TEXT.encode('latin-1'), "not UTF-8. Save it as 'CSV UTF-8'"),
        (b'site,picture\na,b\n', "needs the columns 'site', 'image'"),
        (b'site,image,patient\na\n', 'entry 1: expected 3 values'),
        (b'', 'needs the columns'),
    ],
)
def test_an_unreadable_index_is_an_error_that_names_the_file(
    tmp_path, content, message
):
    file = tmp_path / 'index.csv'
    file.write_bytes(content)
    with pytest.raises(ImageIndexError, match=message) as error:
        ImageIndex.read(file)
    assert str(file) in str(error.value)


def test_a_missing_index_counts_as_empty(tmp_path):
    indexed = ImageIndex.read(tmp_path / 'index.csv').images_of(['a'], IMAGES)
    assert indexed.groups == {} and not indexed.findings
