import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.slurm_options import slurm_parameters


def test_options_become_parameters_of_submitit():
    words = ['partition=gpu', 'cpus=8', 'gres=gpu:1', 'time=90']
    assert slurm_parameters(words) == {
        'partition': 'gpu',
        'cpus_per_task': 8,
        'gres': 'gpu:1',
        'time': 90,
    }


@pytest.mark.parametrize(
    ('text', 'minutes'),
    [
        ('90', 90),
        ('90:30', 91),
        ('4:00:00', 240),
        ('1-0', 1440),
        ('1-02:30', 1590),
        ('2-00:00:01', 2881),
    ],
)
def test_time_is_read_in_slurms_formats_and_rounded_up_to_minutes(text, minutes):
    assert slurm_parameters([f'time={text}'])['time'] == minutes


@pytest.mark.parametrize('words', [[], ['partition=gpu']])
def test_slurm_options_without_a_time_limit_are_refused(words):
    """submitit would set a limit of five minutes."""
    with pytest.raises(ProtocolError, match=r'--slurm needs time='):
        slurm_parameters(words)


@pytest.mark.parametrize('word', ['partion=gpu', 'partition', 'partition='])
def test_an_unknown_key_is_named_with_the_known_ones(word):
    with pytest.raises(ProtocolError, match=rf"{word}: expected KEY=VALUE.*'account'"):
        slurm_parameters(['time=1', word])


@pytest.mark.parametrize('word', ['cpus=two', 'cpus=0', 'time=soon', 'time=0'])
def test_an_invalid_value_is_named_in_the_error(word):
    with pytest.raises(ProtocolError, match=word):
        slurm_parameters(['time=1', word])
