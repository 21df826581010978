import pytest

from mcdrl_lab.data.converters.input_files import FileTree
from mcdrl_lab.data.converters.masks import EmptyMask
from mcdrl_lab.data.converters.path_rules import (
    NO_PATIENT,
    NO_SEQUENCE,
    PathRule,
    add_groups,
)
from mcdrl_lab.data.converters.source import FoundSite, Sample
from mcdrl_lab.errors import ConversionError


@pytest.mark.parametrize(
    ('pattern', 'expected'),
    [('', ''), (r'case(\d+)_', '12'), (r'v\d', 'v3'), ('absent', None)],
)
def test_a_pattern_gives_its_first_group_or_else_the_whole_match(pattern, expected):
    assert PathRule('sequence', pattern).find('a/case12_v3.jpg') == expected


def test_the_error_about_an_invalid_pattern_names_its_option():
    with pytest.raises(ConversionError, match='--patient-pattern'):
        PathRule('patient', '(')


def test_samples_get_sequence_and_patient_and_those_without_are_noted():
    site = FoundSite('s', ('polyp',))
    site.samples = [Sample(name, EmptyMask(), 'n') for name in ('p1/v2.jpg', 'x.jpg')]
    add_groups(
        site, FileTree({}), PathRule('sequence', r'v\d'), PathRule('patient', r'p\d')
    )
    assert [(s.sequence, s.patient) for s in site.samples] == [('v2', 'p1'), ('', '')]
    assert [(n.kind, n.file) for n in site.notes] == [
        ('no sequence', 'x.jpg'),
        ('no patient', 'x.jpg'),
    ]


@pytest.mark.reliability('bad input', 'a pattern of patients that no path has')
def test_a_pattern_that_matches_no_path_is_refused():
    site = FoundSite('s', ('polyp',))
    site.samples = [Sample(name, EmptyMask(), 'n') for name in ('a.jpg', 'b.jpg')]
    with pytest.raises(ConversionError, match=r"--patient-pattern .* none of 2 .*'a"):
        add_groups(site, FileTree({}), NO_SEQUENCE, PathRule('patient', r'case\d'))


@pytest.fixture
def listed(tmp_path):
    """Makes a site of images with an index beside them, and fills its groups in."""

    def make(rows: str, *images: str, patient: PathRule = NO_PATIENT) -> FoundSite:
        file = tmp_path / 'index.csv'
        file.write_text(f'site,image,patient\n{rows}')
        site = FoundSite('north', ('polyp',))
        site.samples = [Sample(name, EmptyMask(), 'n') for name in images]
        return add_groups(site, FileTree({'index.csv': file}), NO_SEQUENCE, patient)

    return make


def test_patients_are_read_from_an_index_in_the_input(listed):
    site = listed('north,000.png,p1\nnorth,001,p2\n', 'images/000.png', 'x/001.png')
    assert [sample.patient for sample in site.samples] == ['p1', 'p2']
    assert site.problems == []


@pytest.mark.reliability('bad input', 'leading zeros lost in an index of the input')
def test_unmatched_images_are_problems_and_unmatched_index_rows_are_noted(listed):
    site = listed('north,0,p1\nnorth,001.png,p2\n', '000.png', '001.png')
    assert [sample.patient for sample in site.samples] == ['', 'p2']
    assert [(one.kind, one.file) for one in site.problems] == [
        ('image without index row', 'north: 000.png')
    ]
    (note,) = site.notes
    assert note.kind == 'index row without image'
    assert '000.png exists: did a spreadsheet drop leading zeros?' in note.detail


def test_an_index_of_another_site_is_a_problem(listed):
    (problem,) = listed('nord,000.png,p1\n', '000.png').problems
    assert problem.kind == 'misnamed site in the index'
    assert "which lists ['nord'] instead" in problem.detail


def test_an_index_by_name_is_refused_if_several_images_share_a_name(listed):
    with pytest.raises(ConversionError, match='lists images by name, but several'):
        listed('north,000.png,p1\n', 'a/000.png', 'b/000.png')


def test_a_pattern_takes_precedence_over_the_index(listed):
    rule = PathRule('patient', r'p\d')
    site = listed('north,000.png,x\n', 'p7/000.png', patient=rule)
    assert [sample.patient for sample in site.samples] == ['p7']
