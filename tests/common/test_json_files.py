import json
import os

import pytest

from mcdrl_common.json_files import parse_json, read_json


def test_a_json_file_is_read_with_all_its_types(tmp_path):
    path = tmp_path / 'a.json'
    content = {'a': [1, -2.5, None, True, 'ä'], 'b': 10**300}
    path.write_text(json.dumps(content), encoding='utf-8')
    assert read_json(path) == content


@pytest.mark.reliability('bad input', 'JSON of odd numbers, nesting or bytes')
@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('[' * 90_000, 'nested'),
        # One digit more than the largest float has.
        ('{"a": [' + '1' * 310 + ']}', '310 digits'),
        ('-' + '9' * 5000, '5000 digits'),
        (b'\xff', 'utf-8'),
        ('{"a": ', 'Expecting value'),
        ('', 'Expecting value'),
    ],
)
def test_unusable_json_raises_value_error(tmp_path, text, problem):
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ValueError, match=problem):
        parse_json(content)
    path = tmp_path / 'a.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        read_json(path)


@pytest.mark.reliability('bad input', 'a pipe or a folder in the place of JSON')
def test_a_pipe_or_a_folder_in_place_of_a_json_file_is_an_error_that_names_it(tmp_path):
    os.mkfifo(tmp_path / 'a.json')
    (tmp_path / 'b.json').mkdir()
    for name in ('a.json', 'b.json'):
        with pytest.raises(ValueError, match=rf'{name}: not a regular file'):
            read_json(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / 'c.json')
