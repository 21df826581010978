"""Errors of train and test that the user can put right end in one line."""

from urllib.error import URLError

import pytest

from mcdrl_mmseg.apis.known_errors import EXIT_BAD_INPUT, without_traceback
from mcdrl_mmseg.apis.slurm import SlurmError
from mcdrl_mmseg.clip.model_source import ModelSourceError
from mcdrl_mmseg.engine.insertion import NotConvertibleError


def ends_with(error):
    @without_traceback('train')
    def main(argv=None):
        raise error

    return main


@pytest.mark.reliability('silent', 'a component that asks for another package')
@pytest.mark.parametrize(
    'error',
    [
        FileNotFoundError('no such config: c.py'),
        # As MMSegmentation's Albu says it.
        ImportError('albumentations is not installed, we suggest "pip install ..."'),
    ],
)
def test_what_the_user_can_put_right_is_one_line(error, capsys):
    assert ends_with(error)([]) == EXIT_BAD_INPUT
    assert capsys.readouterr().err == f'train: {error}\n'


@pytest.mark.parametrize('kind', [SlurmError, NotConvertibleError, ModelSourceError])
def test_what_keeps_a_training_from_starting_is_one_line(kind, capsys):
    assert ends_with(kind('what to do'))([]) == EXIT_BAD_INPUT
    assert capsys.readouterr().err == 'train: what to do\n'


def test_a_download_without_a_network_is_one_line_that_says_what_to_name(capsys):
    assert ends_with(URLError('Name or service not known'))([]) == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith('train: a download failed (Name or service not known).')
    assert 'init_cfg.checkpoint' in said
    assert said.count('\n') == 1


def test_other_errors_keep_their_traceback():
    for error in (KeyError('x'), ImportError("cannot import name 'a' from 'b'")):
        with pytest.raises(type(error)):
            ends_with(error)([])
