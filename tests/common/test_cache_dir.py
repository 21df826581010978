from pathlib import Path

from mcdrl_common.cache_dir import default_cache_dir


def test_folder_follows_the_environment_else_lies_in_the_users_cache(monkeypatch):
    monkeypatch.setenv('MCDRL_CACHE_DIR', '/some/where')
    assert default_cache_dir() == Path('/some/where')
    monkeypatch.delenv('MCDRL_CACHE_DIR')
    assert default_cache_dir() == Path.home() / '.cache' / 'mcdrl_mmseg'
