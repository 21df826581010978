"""Errors of train and test that the user can correct are shown as one line."""

from urllib.error import URLError

import pytest
import torch
from mmseg.models import SegDataPreProcessor

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
        # The message of MMSegmentation's Albu.
        ImportError('albumentations is not installed, we suggest "pip install ..."'),
    ],
)
def test_an_error_that_the_user_can_correct_is_shown_as_one_line(error, capsys):
    assert ends_with(error)([]) == EXIT_BAD_INPUT
    assert capsys.readouterr().err == f'train: {error}\n'


@pytest.mark.parametrize('kind', [SlurmError, NotConvertibleError, ModelSourceError])
def test_an_error_that_keeps_a_training_from_starting_is_shown_as_one_line(
    kind, capsys
):
    assert ends_with(kind('what to do'))([]) == EXIT_BAD_INPUT
    assert capsys.readouterr().err == 'train: what to do\n'


def test_a_failed_download_is_shown_as_one_line_with_the_setting_to_change(capsys):
    assert ends_with(URLError('Name or service not known'))([]) == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith('train: a download failed (Name or service not known).')
    assert 'init_cfg.checkpoint' in said
    assert said.count('\n') == 1


def test_a_batch_of_several_image_sizes_is_one_line_that_says_what_to_set(capsys):
    @without_traceback('train')
    def main(argv=None):
        images = [torch.zeros(3, 8, 8), torch.zeros(3, 8, 4)]
        SegDataPreProcessor()(dict(inputs=images))

    assert main([]) == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith('train: images of several sizes are in one batch of a valid')
    assert 'Set batch_size=1 in val_dataloader' in said
    assert said.count('\n') == 1


def test_other_errors_keep_their_traceback():
    other = KeyError('x'), ImportError("cannot import name 'a'"), AssertionError('x')
    for error in other:
        with pytest.raises(type(error)):
            ends_with(error)([])
