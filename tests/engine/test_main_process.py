import pytest

from mcdrl_mmseg.engine.main_process import on_main_process

MODULE = 'mcdrl_mmseg.engine.main_process'


class Refused(ValueError):
    pass


def fail():
    raise OSError('disk on fire')


@pytest.fixture
def other_rank(monkeypatch):
    """Makes this process rank 1, which receives a message of rank 0."""

    def receive(message):
        monkeypatch.setattr(f'{MODULE}.get_rank', lambda: 1)

        def fill(own):
            own[:] = message

        monkeypatch.setattr(f'{MODULE}.broadcast_object_list', fill)

    return receive


def test_a_single_process_gets_its_own_result_or_failure():
    assert on_main_process(lambda: 3, Refused) == 3
    with pytest.raises(OSError, match='disk on fire'):
        on_main_process(fail, Refused)


def test_another_rank_runs_nothing_and_gets_the_result_of_rank_0(other_rank):
    other_rank([None, 'fingerprint'])
    assert on_main_process(fail, Refused) == 'fingerprint'


def test_another_rank_fails_with_rank_0(other_rank):
    other_rank(['disk on fire', None])
    with pytest.raises(Refused, match='Rank 0 failed: disk on fire'):
        on_main_process(lambda: 3, Refused)
