"""python -m mcdrl_lab pretrain-endo: one-line errors, and a whole small run."""

import json
import re

import pytest
import torch

from mcdrl_lab.commands import main, make_parser
from mcdrl_lab.pretraining import endo_scores, endo_trainer, endo_weights, trainer


@pytest.mark.parametrize(
    ('command', 'settings'),
    [
        ('pretrain', trainer.Settings()),
        ('pretrain-endo', endo_trainer.EndoSettings()),
    ],
)
def test_the_help_names_the_defaults_of_the_settings(command, settings):
    named = {
        action.dest: float(found[1])
        for action in make_parser(command)._actions
        if hasattr(settings, action.dest)
        and (found := re.search(r'\(default: ([\d.]+)\)', action.help or ''))
    }
    assert {'steps', 'batch_size', 'region_weight', 'seed'} <= set(named)
    assert named == {name: getattr(settings, name) for name in named}


def test_a_missing_pack_ends_with_a_one_line_error(tmp_path, toy_imagenet, capsys):
    arguments = ['pretrain-endo', '--pretraining-root', str(tmp_path)]
    arguments += ['--imagenet', str(toy_imagenet), '--work-dir', str(tmp_path / 'w')]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and 'labels.csv is missing' in error
    assert error.count('\n') == 1


def test_missing_weights_are_named_in_the_error(tmp_path, capsys):
    arguments = ['pretrain-endo', '--test', str(tmp_path / 'none.safetensors')]
    assert main([*arguments, '--work-dir', str(tmp_path)]) == 2
    assert 'none.safetensors' in capsys.readouterr().err


def test_scores_of_a_training_are_not_replaced_by_those_of_other_weights(
    tmp_path, capsys
):
    (tmp_path / 'weights.safetensors').write_bytes(b'x')
    other = tmp_path / 'other.safetensors'
    other.write_bytes(b'x')
    for weights in ([], [str(other)]):
        words = ['pretrain-endo', '--work-dir', str(tmp_path), '--test', *weights]
        assert main(words) == 2
        told = capsys.readouterr().err
        assert f'{tmp_path} holds a training, and --test' in told
        assert 'would replace its scores.json' in told
    # Its own weights are tested.
    main([*words[:-1], str(tmp_path / 'weights.safetensors')])
    assert 'holds a training' not in capsys.readouterr().err


def test_scores_of_unknown_weights_are_not_replaced(tmp_path, capsys):
    (tmp_path / 'scores.json').write_text('{}')
    for words in (['--test'], ['--test', str(tmp_path / 'w.pt')], []):
        assert main(['pretrain-endo', '--work-dir', str(tmp_path), *words]) == 2
        told = capsys.readouterr().err
        assert f'{tmp_path}/scores.json would be replaced: it is from other' in told


def test_a_small_run_writes_weights_and_scores_that_no_other_test_replaces(
    endo_pack_root,
    toy_imagenet,
    toy_sentences,
    tmp_path,
    monkeypatch,
    repo_root,
    capsys,
):
    torch.set_num_threads(1)
    monkeypatch.chdir(repo_root)
    # The sentence encoder is not installed everywhere.
    monkeypatch.setattr(
        endo_trainer.CaptionBank.__init__, '__defaults__', (toy_sentences,)
    )
    defaults = endo_weights.save_endo_weights.__defaults__
    monkeypatch.setattr(
        endo_weights.save_endo_weights,
        '__defaults__',
        (*defaults[:-1], toy_sentences),
    )
    monkeypatch.setattr(endo_scores, '_SHUFFLES', 2)
    arguments = ['pretrain-endo', '--pretraining-root', str(endo_pack_root)]
    arguments += ['--imagenet', str(toy_imagenet), '--work-dir', str(tmp_path)]
    arguments += ['--steps', '1', '--batch-size', '2', '--part', 'choose']
    arguments += ['--image-size', '32', '--per-site', '2', '--without', 'kvasir_seg']
    code = main(arguments)
    shown = capsys.readouterr()
    if code:  # A part of so few groups may lack a kind of image.
        pytest.fail(shown.err)
    assert (tmp_path / 'weights.safetensors').is_file()
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert scores['side'] == 32 and scores['seen'] == []
    assert 'polyp / normal, pretraining pack' in shown.out
    # The same test of the same weights is repeated; no other test replaces it.
    before = (tmp_path / 'scores.json').read_bytes()
    weights = str(tmp_path / 'weights.safetensors')
    for other in (['--image-size', '64'], ['--part', 'held_out']):
        assert main([*arguments, *other]) == 2
        assert main([*arguments, '--test', weights, *other]) == 2
        assert 'scores.json would be replaced' in capsys.readouterr().err
    assert main([*arguments, '--test', weights]) == 0
    assert (tmp_path / 'scores.json').read_bytes() == before
