import copy
import pickle

import pytest
from mmengine.config import Config

from mcdrl_mmseg.apis.config import ConfigFileError, FormattedOnceConfig, read_config


@pytest.fixture
def formatted(monkeypatch):
    """Texts that MMEngine made, and whether yapf formatted them."""
    made = []
    plain = Config.pretty_text.fget

    def noted(cfg):
        made.append((plain(cfg), cfg._format_python_code))
        return made[-1][0]

    monkeypatch.setattr(Config, 'pretty_text', property(noted))
    return made


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / 'net.py'
    path.write_text("model = dict(type='Net', width=[1, 2])\nlr = 0.1\n")
    return Config.fromfile(path)


def test_the_config_text_is_made_once_and_without_yapf(cfg, formatted):
    once = FormattedOnceConfig.of(cfg)
    text = once.pretty_text
    assert formatted == [(text, False)]
    assert copy.deepcopy(once).pretty_text == once.pretty_text == once.dump() == text
    assert len(formatted) == 1


def test_the_config_text_parses_to_the_same_entries(cfg):
    once = FormattedOnceConfig.of(cfg)
    again = Config.fromstring(once.pretty_text, '.py')
    assert again.to_dict() == cfg.to_dict()


def test_a_changed_entry_changes_the_config_text(cfg, formatted):
    once = FormattedOnceConfig.of(cfg)
    before = once.pretty_text
    once.model.width[0] = 7
    assert once.pretty_text == before.replace('1,', '7,')
    once.lr = 0.2
    assert 'lr=0.2' in once.pretty_text
    twin = copy.deepcopy(once)
    twin.merge_from_dict({'model.type': 'Other'})
    assert "type='Other'" in twin.pretty_text
    assert "type='Net'" in once.pretty_text


def test_a_formatted_once_config_behaves_like_a_config(cfg):
    once = FormattedOnceConfig.of(cfg)
    once.pretty_text  # noqa: B018 (keeps the text)
    assert isinstance(once, Config)
    assert once.filename == cfg.filename
    assert (
        once.to_dict()
        == cfg.to_dict()
        == {
            'model': {'type': 'Net', 'width': [1, 2]},
            'lr': 0.1,
        }
    )
    assert pickle.loads(pickle.dumps(once)).pretty_text == once.pretty_text


def test_an_error_raised_by_a_base_config_names_the_file_of_that_config(tmp_path):
    (tmp_path / 'sites.py').write_text("raise ValueError('no such site: nort')\n")
    (tmp_path / 'net.py').write_text("_base_ = ['sites.py']\n")
    with pytest.raises(ConfigFileError) as error:
        read_config(tmp_path / 'net.py')
    assert str(error.value) == f'{tmp_path / "sites.py"}: no such site: nort'


def test_an_error_in_a_function_that_a_config_calls_keeps_its_type(tmp_path):
    path = tmp_path / 'net.py'
    path.write_text("values = __import__('json').loads('{')\n")
    with pytest.raises(ValueError) as error:
        read_config(path)
    assert not isinstance(error.value, ConfigFileError)


@pytest.mark.parametrize('name', ['notes.txt', 'best.pth', 'config'])
def test_a_file_that_is_no_config_is_named(tmp_path, name):
    (tmp_path / name).write_text('hello')
    with pytest.raises(ConfigFileError, match=rf'{name}: expected a config file, who'):
        read_config(tmp_path / name)
