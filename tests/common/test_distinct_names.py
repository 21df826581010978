import pytest

from mcdrl_common.distinct_names import distinct_names


@pytest.mark.parametrize(
    ('images', 'names'),
    [
        ([], []),
        (['/x/a/1.png', '/x/b/2.jpg'], ['1', '2']),
        (['/x/a/1.png', '/x/b/1.png', '/x/b/2.png'], ['a/1', 'b/1', 'b/2']),
        (['/x/a/P.png', '/x/b/p.png'], ['a/P', 'b/p']),
        (['/x/1.png', '/x/1.jpg'], ['1.png', '1.jpg']),
        (['/x/1.left.png', '/x/1.right.png'], ['1.left', '1.right']),
    ],
)
def test_names_include_folders_and_extensions_only_as_needed_to_distinguish_them(
    images, names
):
    assert distinct_names(images) == names
