import os

import pytest

from mcdrl_common.threshold_file import CONFORMAL, PRESENCE


def test_a_written_threshold_is_read_back(tmp_path):
    path = tmp_path / 'a.json'
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
        '{"kind": "mcdrl.conformal_threshold", "threshold": 1, "level": 0.3, '
        '"model_hash": 1}',
    ],
)
def test_files_without_a_valid_threshold_are_refused(tmp_path, text):
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(ValueError, match='holds no threshold with a guarantee'):
        CONFORMAL.read(tmp_path / 'a.json')
    with pytest.raises(ValueError, match='holds no threshold with'):
        CONFORMAL.read(tmp_path / 'none.json')


def test_a_presence_threshold_is_not_accepted_as_a_conformal_threshold(tmp_path):
    path = tmp_path / 'a.json'
    PRESENCE.write(path, dict(threshold=0.2))
    assert PRESENCE.read(path)['threshold'] == 0.2
    with pytest.raises(ValueError, match='mcdrl_lab conformal RECORDS'):
        CONFORMAL.read(path)


@pytest.mark.reliability('bad input', 'a pipe in the place of a threshold')
@pytest.mark.timeout(20)
def test_a_pipe_in_place_of_the_file_is_an_error_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / 'a.json')
    with pytest.raises(ValueError, match='holds no threshold with'):
        CONFORMAL.read(tmp_path / 'a.json')


def test_a_file_that_holds_nan_is_refused(tmp_path):
    (tmp_path / 'a.json').write_text(
        '{"kind": "mcdrl.conformal_threshold", "threshold": 0.2, "level": 0.3, '
        '"x": NaN}'
    )
    with pytest.raises(ValueError, match='holds no threshold with'):
        CONFORMAL.read(tmp_path / 'a.json')


def test_a_threshold_of_another_network_is_refused_with_what_to_do():
    content = dict(threshold=0.2, method='baseline', model_hash='a' * 64)
    assert PRESENCE.check_model(content, 'a' * 64, 'p.json') is None
    with pytest.raises(ValueError) as refused:
        PRESENCE.check_model(content, 'b' * 64, 'p.json')
    told = str(refused.value)
    assert told.startswith('p.json: its presence threshold was chosen for another')
    for words in (
        'hash of its settings is aaaaaaaaaaaa',
        'checkpoint bbbbbbbbbbbb',
        'mcdrl_lab presence',
        'remove',
    ):
        assert words in told


@pytest.mark.parametrize('named, own', [(None, 'b' * 64), ('a' * 64, '')])
def test_an_unknown_network_is_noted_and_not_refused(named, own):
    content = dict(threshold=0.2, **({'model_hash': named} if named else {}))
    note = CONFORMAL.check_model(content, own, 'c.json')
    assert note.startswith('c.json does not record the settings of the network')
