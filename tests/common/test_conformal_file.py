import os

import pytest

from mcdrl_common.conformal_file import read_conformal, write_conformal


def test_what_is_written_is_read_back_and_can_be_replaced(tmp_path):
    path = tmp_path / 'a.json'
    write_conformal(path, dict(threshold=0.2, level=0.3))
    write_conformal(path, dict(threshold=0.1, level=0.3))
    assert read_conformal(path)['threshold'] == 0.1


@pytest.mark.parametrize(
    'text',
    [
        '',
        '[]',
        '{"threshold": 0.2, "level": 0.3}',
        '{"kind": "mcdrl.conformal_threshold", "threshold": 2, "level": 0.3}',
        '{"kind": "mcdrl.conformal_threshold", "threshold": true, "level": 0.3}',
    ],
)
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(ValueError, match='holds no threshold with a guarantee'):
        read_conformal(tmp_path / 'a.json')
    with pytest.raises(ValueError, match='holds no threshold with'):
        read_conformal(tmp_path / 'none.json')


def test_a_file_of_someone_elses_is_not_replaced(tmp_path):
    (tmp_path / 'a.json').write_text('{"mine": 1}')
    with pytest.raises(ValueError, match='name another'):
        write_conformal(tmp_path / 'a.json', dict(threshold=0.2, level=0.3))
    assert (tmp_path / 'a.json').read_text() == '{"mine": 1}'


@pytest.mark.reliability('bad input', 'a pipe in the place of a threshold')
@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'a.json')
    with pytest.raises(ValueError, match='holds no threshold with'):
        read_conformal(tmp_path / 'a.json')
    with pytest.raises(ValueError, match='name another'):
        write_conformal(tmp_path / 'a.json', dict(threshold=0.2, level=0.3))


def test_what_results_could_not_repeat_is_refused(tmp_path):
    (tmp_path / 'a.json').write_text(
        '{"kind": "mcdrl.conformal_threshold", "threshold": 0.2, "level": 0.3, '
        '"x": NaN}'
    )
    with pytest.raises(ValueError, match='holds no threshold with'):
        read_conformal(tmp_path / 'a.json')
