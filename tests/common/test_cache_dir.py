from pathlib import Path

from mcdrl_common.cache_dir import default_cache_dir


def test_the_cache_folder_follows_the_environment_or_is_in_the_cache_of_the_user(
    monkeypatch,
):
    monkeypatch.setenv('MCDRL_CACHE_DIR', '/some/where')
    assert default_cache_dir() == Path('/some/where')
    monkeypatch.delenv('MCDRL_CACHE_DIR')
    assert default_cache_dir() == Path.home() / '.cache' / 'mcdrl_mmseg'
