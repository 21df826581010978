import pytest

from mcdrl_lab.data.converters.masks import EmptyMask
from mcdrl_lab.data.converters.patients_table import PatientsTable
from mcdrl_lab.data.converters.source import FoundSite, Sample
from mcdrl_lab.errors import ConversionError


def found(*images, site='north') -> FoundSite:
    samples = [Sample(i, EmptyMask(), i, patient='old') for i in images]
    return FoundSite(site, ('polyp',), samples=samples)


@pytest.fixture
def table(tmp_path):
    """Reads a table: ``table('a.jpg,p1', ...)``."""

    def read(*rows, header='image,patient'):
        path = tmp_path / 'patients.csv'
        path.write_text('\n'.join([header, *rows]) + '\n')
        return PatientsTable.read(path)

    return read


def patients(*sites):
    return {s.image: s.patient for site in sites for s in site.samples}


@pytest.mark.parametrize('entry', ['a.jpg', 'a', 'd/a.jpg', './d/a', 'd\\a.jpg'])
def test_a_row_names_an_image_by_any_end_of_its_path(table, entry):
    site = found('x/d/a.jpg')
    table(f'{entry},p1').fill([site])
    assert patients(site) == {'x/d/a.jpg': 'p1'}


def test_columns_in_any_order_and_semicolons_are_read(table):
    site = found('a.jpg')
    table('1970;p1;a.jpg', header='born;patient;image').fill([site])
    assert patients(site) == {'a.jpg': 'p1'}


def test_images_without_a_row_and_rows_without_an_image_are_noted(table):
    one, two = found('a.jpg', 'b.jpg'), found('c.jpg', site='south')
    table('a.jpg,p1', 'c.jpg,p2', 'gone.jpg,p3').fill([one, two])
    assert patients(one, two) == {'a.jpg': 'p1', 'b.jpg': 'old', 'c.jpg': 'p2'}
    assert [(n.kind, n.file) for n in one.notes] == [
        ('no patient', 'b.jpg'),
        ('patient without image', 'gone.jpg'),
    ]
    assert not two.notes


@pytest.mark.parametrize(
    ('rows', 'told'),
    [
        (['gone,p1'], r"none of its 1 images, such as \['gone'\]"),
        (['a.jpg,p1'], r"'a.jpg' fits 'd/a.jpg' and 'e/a.jpg': give more"),
        (['d/a,p1', 'd/a.jpg,p2'], r"two rows give 'd/a.jpg' different patients"),
        (['b,p1', 'b,p2'], "'b' has patient 'p1' in one row and 'p2' in another"),
    ],
)
def test_ambiguous_and_contradictory_rows_are_refused(table, rows, told):
    with pytest.raises(ConversionError, match=told):
        table(*rows).fill([found('d/a.jpg', 'e/a.jpg')])


def test_a_file_that_is_missing_or_not_a_patients_table_is_refused(table, tmp_path):
    with pytest.raises(ConversionError, match='needs the columns image and patient'):
        table('a,b', header='image,person')
    with pytest.raises(ConversionError, match=r'--patients .*gone\.csv: No such file'):
        PatientsTable.read(tmp_path / 'gone.csv')
