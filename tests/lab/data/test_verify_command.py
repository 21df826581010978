import json

import pytest
from mmengine.config import Config

from mcdrl_lab.commands import main


@pytest.fixture
def verify(tmp_path, monkeypatch):
    """Runs the command with some arguments; gives its exit code."""
    monkeypatch.setenv('MCDRL_CACHE_DIR', str(tmp_path / 'cache'))

    def start(*words):
        return main(['verify', *map(str, words), '--jobs', '1'])

    return start


def test_the_exit_code_distinguishes_good_bad_and_unusable_data(
    sites, verify, tmp_path, capsys
):
    assert verify(sites.root) == 0
    sites.image('south').write_bytes(b'')
    assert verify(sites.root) == 1
    assert 'south/images/1.png' in capsys.readouterr().out
    assert verify(tmp_path / 'nowhere') == 2
    assert capsys.readouterr().err == (
        f'error: {tmp_path / "nowhere"} does not exist: expected a folder of sites or '
        'a config file.\n'
    )
    (tmp_path / 'bare').mkdir()
    assert verify(tmp_path / 'bare') == 2
    error = capsys.readouterr().err
    assert 'holds no site: expected SITE/images' in error
    assert 'verify the config it writes' in error


def test_a_config_is_verified_with_its_splits(sites, verify, tmp_path, capsys):
    path = tmp_path / 'config.py'
    Config(sites.config()).dump(path)
    assert verify(path) == 0
    option = 'test_dataloader.dataset.sites=[north]'
    assert verify(path, '--cfg-options', option) == 1
    assert 'same file in two splits' in capsys.readouterr().out


def test_a_finding_that_the_config_allows_is_not_a_problem(
    sites, verify, tmp_path, capsys
):
    path = tmp_path / 'config.py'
    cfg = sites.config()
    cfg['test_dataloader']['dataset']['sites'] = [dict(name='north')]
    Config(cfg).dump(path)
    assert verify(path) == 1
    check = dict(type='DatasetCheckHook', allow=['same file in two splits'])
    Config(cfg | dict(default_hooks=dict(dataset_check=check))).dump(path)
    capsys.readouterr()
    assert verify(path) == 0
    assert 'same file in two splits' in capsys.readouterr().out


def test_the_json_output_lists_every_file(sites, verify, capsys):
    for number in range(3):
        sites.mask('south', f'{number}').unlink()
    assert verify(sites.root, '--json', '--show', 1) == 1
    content = json.loads(capsys.readouterr().out)
    (group,) = content['findings']
    assert [one['file'] for one in group['files']] == [
        f'south/images/{number}.png' for number in range(3)
    ]
    assert content['problems'] == 3


def test_show_limits_the_listed_files_and_counts_the_rest(sites, verify, capsys):
    for number in range(3):
        sites.mask('south', f'{number}').unlink()
    verify(sites.root, '--show', 1)
    shown = capsys.readouterr().out
    assert 'missing mask: 3' in shown and 'and 2 more' in shown
    assert 'south/images/2.png' not in shown


def test_fix_reports_the_corrected_copy_and_refuses_an_existing_folder(
    sites, verify, tmp_path, capsys
):
    sites.mask('south').unlink()
    assert verify(sites.root, '--fix', tmp_path / 'fixed') == 1
    assert '14 images with their masks, 0 files corrected, 1 left out' in (
        capsys.readouterr().out
    )
    assert verify(tmp_path / 'fixed') == 0
    assert verify(sites.root, '--fix', tmp_path / 'fixed') == 2


def test_a_negative_number_of_files_to_show_is_refused(sites, verify, capsys):
    sites.image('south').write_bytes(b'')
    assert verify(sites.root, '--show', '-1') == 2
    assert '--show -1: expected 0 or more files' in capsys.readouterr().err
