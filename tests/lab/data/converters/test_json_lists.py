import pytest

from mcdrl_lab.data.converters.input_files import FileTree
from mcdrl_lab.data.converters.json_lists import as_published, load
from mcdrl_lab.errors import ConversionError


@pytest.mark.parametrize(
    'text', ['[1', '{"a": 2}', '[]', 'null', '[' * 100_000], ids=len
)
def test_lists_in_an_unexpected_form_end_with_a_one_line_error(tmp_path, text):
    path = tmp_path / 'list.json'
    path.write_text(text)
    with (
        pytest.raises(ConversionError, match=r'^set/list\.json: not in') as error,
        as_published('set/list.json'),
    ):
        load(FileTree({'set/list.json': path}), 'set/list.json')[0]['id'] += 1
    assert '\n' not in str(error.value)


def test_byte_order_marks_are_skipped(tmp_path):
    path = tmp_path / 'list.json'
    path.write_text('[1]', encoding='utf-8-sig')
    assert load(FileTree({'a': path}), 'a') == [1]
