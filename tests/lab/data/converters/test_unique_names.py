import random

from hypothesis import given
from hypothesis import strategies as st

from mcdrl_lab.data.converters.unique_names import clean, unique_names


def by_stem(*paths):
    return {path: path.rpartition('/')[2].rpartition('.')[0] for path in paths}


def test_names_without_a_clash_stay_unchanged():
    wanted = by_stem('images/a.jpg', 'images/b-1.2.jpg')
    assert unique_names(wanted) == wanted


def test_names_in_two_folders_get_the_nearest_folder_that_distinguishes_them():
    wanted = by_stem('c1/images/1.jpg', 'c2/images/1.jpg', 'c2/images/2.jpg')
    assert unique_names(wanted) == {
        'c1/images/1.jpg': 'c1_images_1',
        'c2/images/1.jpg': 'c2_images_1',
        'c2/images/2.jpg': '2',
    }


def test_names_that_differ_only_in_case_or_ending_get_a_digest():
    names = unique_names(by_stem('a.jpg', 'A.jpg', 'a.png'))
    assert len({name.lower() for name in names.values()}) == 3
    assert all(name.lower().startswith('a-') for name in names.values())


def test_an_extended_name_does_not_clash_with_that_of_another_image():
    names = unique_names(by_stem('x/1.jpg', 'y/1.jpg', 'x_1.jpg'))
    assert len(set(names.values())) == 3


def test_spaces_and_special_characters_are_replaced():
    assert clean('polyp 3 (left)/b') == 'polyp_3_left_b'
    assert clean('..hidden') == 'hidden'
    assert clean('///') == '_'
    assert clean('') == 'image'


PATHS = st.lists(
    st.text('aAb /._', min_size=1, max_size=6), unique=True, min_size=1, max_size=8
)


@given(PATHS)
def test_names_are_unique_and_do_not_depend_on_the_order(paths):
    names = unique_names(by_stem(*paths))
    assert len({name.lower() for name in names.values()}) == len(paths)
    random.Random(0).shuffle(paths)
    assert unique_names(by_stem(*paths)) == names
