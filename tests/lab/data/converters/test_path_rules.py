import pytest

from mcdrl_common.findings import ConversionError
from mcdrl_lab.data.converters.masks import EmptyMask
from mcdrl_lab.data.converters.path_rules import PathRule, add_groups
from mcdrl_lab.data.converters.source import FoundSite, Sample


@pytest.mark.parametrize(
    ('pattern', 'expected'),
    [('', ''), (r'case(\d+)_', '12'), (r'v\d', 'v3'), ('absent', None)],
)
def test_the_first_group_counts_else_the_whole_match(pattern, expected):
    assert PathRule('sequence', pattern).find('a/case12_v3.jpg') == expected


def test_wrong_patterns_name_their_option():
    with pytest.raises(ConversionError, match='--patient-pattern'):
        PathRule('patient', '(')


def test_samples_get_their_groups_and_those_without_are_noted():
    site = FoundSite('s', ('polyp',))
    site.samples = [Sample(name, EmptyMask(), 'n') for name in ('p1/v2.jpg', 'x.jpg')]
    add_groups(site, PathRule('sequence', r'v\d'), PathRule('patient', r'p\d'))
    assert [(s.sequence, s.patient) for s in site.samples] == [('v2', 'p1'), ('', '')]
    assert [(n.kind, n.file) for n in site.notes] == [
        ('no sequence', 'x.jpg'),
        ('no patient', 'x.jpg'),
    ]
