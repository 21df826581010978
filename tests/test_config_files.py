from pathlib import Path

import pytest

import mcdrl_mmseg
from mcdrl_mmseg import config_files, config_path


def test_config_path_gives_the_path_of_the_installed_config():
    path = Path(config_path('_base_/mcdrl.py'))
    package = Path(mcdrl_mmseg.__file__).parent
    assert path == package / '.mim/configs/_base_/mcdrl.py'
    assert path.is_file()


def test_an_unknown_config_is_an_error_that_names_it_and_the_folder():
    with pytest.raises(FileNotFoundError, match=r"no config 'mcdrl/none\.py'.*\.mim"):
        config_path('mcdrl/none.py')


def test_without_installed_configs_the_error_says_how_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(config_files, '_CONFIGS', tmp_path / 'configs')
    with pytest.raises(FileNotFoundError, match='pip install -e'):
        config_path('_base_/mcdrl.py')
