"""The command site-reference, on EndoSim's own config and ten images of each site."""

import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mcdrl_lab.commands import make_parser
from mcdrl_lab.simulation.simulated_sites import Benchmark, write_benchmark
from mcdrl_lab.trust.site_reference_command import run
from mcdrl_mmseg.apis.checkpoint import load_segmentor
from mcdrl_mmseg.apis.image_flags import site_reference_of

CONFIG = 'configs/mcdrl/mcdrl_clip-tiny-rn_fcn_6e_endosim-128x128.py'


@pytest.fixture(scope='module')
def made(tmp_path_factory, repo_root):
    """A folder with EndoSim and a checkpoint without statistics."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp('reference')
    write_benchmark(Benchmark(images_per_site=30, size=32), folder / 'data')
    cfg = Config.fromfile(repo_root / CONFIG)
    init_default_scope('mmseg')
    model = MODELS.build(cfg.model)
    dictionary = model.decode_head.dictionary
    texts = torch.randn(len(dictionary.texts), 128)
    dictionary.fill(torch.nn.functional.normalize(texts, dim=1), 'ab' * 32)
    content = dict(
        state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text, epoch=6)
    )
    torch.save(content, folder / 'best.pth')
    return folder


@pytest.fixture
def desk(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MCDRL_ENDOSIM_ROOT', str(made / 'data'))
    shutil.copy(made / 'best.pth', tmp_path)
    return tmp_path


def add(repo_root, *arguments) -> int:
    parsed = make_parser('site-reference').parse_args(
        [str(repo_root / CONFIG), 'best.pth', '--device', 'cpu', *arguments]
    )
    return run(parsed)


def test_statistics_of_the_training_sites_are_added_to_a_copy(desk, repo_root, capsys):
    assert add(repo_root, '--images-per-site', '10') == 0
    assert 'best_sites.pth: statistics of 40 images' in capsys.readouterr().out
    reference = site_reference_of(load_segmentor('best_sites.pth', device='cpu'))
    # endosim_a is held out.
    assert reference.sites == tuple(f'endosim_{letter}' for letter in 'bcde')
    assert reference.conditions[0] == 'blur'
    before, after = (torch.load(n) for n in ('best.pth', 'best_sites.pth'))
    assert after['meta']['epoch'] == 6
    assert before['state_dict'].keys() == after['state_dict'].keys()
    assert 'site_reference' not in before['meta']


def test_unusable_input_ends_with_a_one_line_error(
    desk, repo_root, capsys, monkeypatch
):
    (desk / 'mine.pth').write_text('mine')
    assert add(repo_root, '--out', 'mine.pth') == 2
    assert (desk / 'mine.pth').read_text() == 'mine'
    assert add(repo_root, '--images-per-site', '9') == 2
    assert add(repo_root, '--cfg-options', 'train_dataloader=None') == 2
    monkeypatch.setenv('MCDRL_ENDOSIM_ROOT', str(desk / 'nowhere'))
    assert add(repo_root) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    named = 'never replaced', 'at least 10', 'train_dataloader', 'nowhere'
    for line, words in zip(lines, named, strict=True):
        assert line.startswith('error: ')
        assert words in line


def test_the_config_of_another_fold_is_refused(desk, repo_root, capsys, monkeypatch):
    monkeypatch.setenv('MCDRL_HELD_OUT', 'endosim_c')
    assert add(repo_root, '--images-per-site', '10') == 2
    error = capsys.readouterr().err
    assert 'trains on endosim_a, endosim_b, endosim_d, endosim_e, but best.pth' in error
    assert 'MCDRL_HELD_OUT=endosim_a chooses its fold' in error
    assert not (desk / 'best_sites.pth').exists()


@pytest.mark.reliability('bad input', 'site-reference --overwrite of an input')
def test_neither_the_checkpoint_nor_a_file_of_the_user_is_replaced(
    desk, repo_root, capsys
):
    before = (desk / 'best.pth').read_bytes()
    assert add(repo_root, '--out', 'best.pth', '--overwrite') == 2
    assert 'best.pth: an input; results never replace inputs' in capsys.readouterr().err
    assert before == (desk / 'best.pth').read_bytes()
    (desk / 'mine.pth').write_text('mine')
    assert add(repo_root, '--out', 'mine.pth', '--overwrite') == 2
    assert (desk / 'mine.pth').read_text() == 'mine'
    assert add(repo_root, '--images-per-site', '10') == 0
    assert add(repo_root, '--images-per-site', '10') == 2
    assert add(repo_root, '--images-per-site', '10', '--overwrite') == 0
