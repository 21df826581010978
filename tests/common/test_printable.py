from collections import OrderedDict

import pytest

from mcdrl_common.printable import short_repr


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (5, '5'),
        (['a', 'b'], "['a', 'b']"),
        (10**5000, 'a huge int'),
        (OrderedDict(a=1), 'OrderedDict of 1'),
        ('x' * 1000, "'xxxx"),
    ],
    ids=['number', 'list', 'huge', 'mapping', 'long'],
)
def test_values_are_shown_in_about_a_hundred_characters(value, text):
    assert short_repr(value).startswith(text)
    assert len(short_repr(value)) <= 103


def letters(values):
    return dict.fromkeys('abcdefghij', values[0])


@pytest.mark.reliability('security', 'names in a checkpoint that print without end')
@pytest.mark.parametrize('kind', [list, tuple, letters])
@pytest.mark.timeout(20)
def test_nested_lists_that_repeat_one_list_are_not_printed_in_full(kind):
    value = ['a']
    for _ in range(12):
        # Ten times the same: a file of some bytes would print 10^12 letters.
        value = kind([value] * 10)
    assert len(short_repr(value)) <= 103
