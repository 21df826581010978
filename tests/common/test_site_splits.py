import pytest

from mcdrl_common.site_splits import split_mask


def validation(groups: str, fraction: float) -> str:
    """The groups, one letter an image, with those for validation in capitals."""
    marks = split_mask(list(groups), fraction)
    return ''.join(g.upper() if mark else g for g, mark in zip(groups, marks))


@pytest.mark.parametrize(
    ('groups', 'fraction', 'expected'),
    [
        ('abcdefghij', 0.2, 'abcdefghIJ'),
        ('abcdefghij', 0.34, 'abcdefgHIJ'),
        # A further group joins if half of it still fits: 2 + 3 / 2 of 8 images.
        ('aaabbbcc', 0.4, 'aaabbbCC'),
        ('aaabbbcc', 0.45, 'aaaBBBCC'),
        ('aaabbbcc', 0.6, 'aaaBBBCC'),
        ('aaaaaaab', 0.5, 'aaaaaaaB'),
        ('ab', 0.9, 'aB'),
        ('ab', 0.01, 'aB'),
    ],
)
def test_the_last_groups_are_kept_for_validation(groups, fraction, expected):
    assert validation(groups, fraction) == expected


@pytest.mark.parametrize(
    ('groups', 'fraction', 'expected'),
    [
        # The last group would leave one image to train on: 7 of 8 instead of 0.8.
        ('abbbbbbb', 0.1, 'Abbbbbbb'),
        ('aabcccccccc', 0.2, 'AABcccccccc'),
        # Each group is too large: the smallest, the last of equal ones.
        ('aaabbccccc', 0.05, 'aaaBBccccc'),
        ('aabb', 0.1, 'aaBB'),
    ],
)
def test_a_last_group_far_larger_than_the_wanted_share_is_for_training(
    groups, fraction, expected
):
    assert validation(groups, fraction) == expected


def test_images_that_are_their_own_groups_are_split_into_two_contiguous_blocks():
    marks = split_mask([f'{i:03}.jpg' for i in range(101)], 0.2)
    assert marks == [False] * 81 + [True] * 20


@pytest.mark.parametrize('fraction', [0.05, 0.2, 0.5, 0.8, 0.95])
def test_no_group_is_divided_and_neither_side_is_empty(fraction):
    groups = list('aabcccccddeaafggggghiiab')
    marks = split_mask(groups, fraction)
    sides = {}
    for group, mark in zip(groups, marks):
        sides.setdefault(group, set()).add(mark)
    assert all(len(side) == 1 for side in sides.values())
    assert any(marks) and not all(marks)


def test_a_group_stays_whole_even_if_its_images_are_not_adjacent():
    assert validation('abcabc', 0.4) == 'abCabC'


@pytest.mark.parametrize('groups', [[], ['a'], ['a', 'a', 'a']])
def test_fewer_than_two_groups_are_an_error(groups):
    with pytest.raises(ValueError, match='cannot be split'):
        split_mask(groups, 0.2)
