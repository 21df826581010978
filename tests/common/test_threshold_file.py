import os

import pytest

from mcdrl_common.threshold_file import CONFORMAL, PRESENCE


def test_what_is_written_is_read_back_and_can_be_replaced(tmp_path):
    path = tmp_path / 'a.json'
    CONFORMAL.write(path, dict(threshold=0.2, level=0.3))
    CONFORMAL.write(path, dict(threshold=0.1, level=0.3))
    assert CONFORMAL.read(path)['threshold'] == 0.1


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
        CONFORMAL.read(tmp_path / 'a.json')
    with pytest.raises(ValueError, match='holds no threshold with'):
        CONFORMAL.read(tmp_path / 'none.json')


def test_a_threshold_of_one_kind_is_not_taken_for_one_of_the_other(tmp_path):
    path = tmp_path / 'a.json'
    PRESENCE.write(path, dict(threshold=0.2))
    assert PRESENCE.read(path)['threshold'] == 0.2
    with pytest.raises(ValueError, match='mcdrl_lab conformal RECORDS'):
        CONFORMAL.read(path)
    with pytest.raises(ValueError, match='name another'):
        CONFORMAL.write(path, dict(threshold=0.2, level=0.3))
    assert PRESENCE.read(path)['threshold'] == 0.2


def test_a_file_of_someone_elses_is_not_replaced(tmp_path):
    (tmp_path / 'a.json').write_text('{"mine": 1}')
    with pytest.raises(ValueError, match='name another'):
        CONFORMAL.write(tmp_path / 'a.json', dict(threshold=0.2, level=0.3))
    assert (tmp_path / 'a.json').read_text() == '{"mine": 1}'


@pytest.mark.reliability('bad input', 'a pipe in the place of a threshold')
@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'a.json')
    with pytest.raises(ValueError, match='holds no threshold with'):
        CONFORMAL.read(tmp_path / 'a.json')
    with pytest.raises(ValueError, match='name another'):
        CONFORMAL.write(tmp_path / 'a.json', dict(threshold=0.2, level=0.3))


def test_what_results_could_not_repeat_is_refused(tmp_path):
    (tmp_path / 'a.json').write_text(
        '{"kind": "mcdrl.conformal_threshold", "threshold": 0.2, "level": 0.3, '
        '"x": NaN}'
    )
    with pytest.raises(ValueError, match='holds no threshold with'):
        CONFORMAL.read(tmp_path / 'a.json')
