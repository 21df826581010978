import copy
import pickle

import mmengine.config.config
import pytest
from mmengine.config import Config
from yapf.yapflib import yapf_api

from mcdrl_mmseg.apis.config import FormattedOnceConfig


@pytest.fixture
def formatted(monkeypatch):
    """Texts that yapf was asked to format."""
    texts = []
    format_code = yapf_api.FormatCode

    def noted(text, *args, **kwargs):
        texts.append(text)
        return format_code(text, *args, **kwargs)

    monkeypatch.setattr(yapf_api, 'FormatCode', noted)
    # MMEngine 0.10.7 imports it by name.
    monkeypatch.setattr(mmengine.config.config, 'FormatCode', noted, raising=False)
    return texts


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / 'net.py'
    path.write_text("model = dict(type='Net', width=[1, 2])\nlr = 0.1\n")
    return Config.fromfile(path)


def test_the_text_is_that_of_the_plain_config_and_is_formatted_once(cfg, formatted):
    once = FormattedOnceConfig.of(cfg)
    assert once.pretty_text == cfg.pretty_text
    assert len(formatted) == 2
    assert copy.deepcopy(once).pretty_text == once.pretty_text == once.dump()
    assert len(formatted) == 2


def test_a_changed_entry_changes_the_text(cfg, formatted):
    once = FormattedOnceConfig.of(cfg)
    before = once.pretty_text
    once.model.width[0] = 7
    assert once.pretty_text == before.replace('1,', '7,')
    once.lr = 0.2
    assert 'lr = 0.2' in once.pretty_text
    twin = copy.deepcopy(once)
    twin.merge_from_dict({'model.type': 'Other'})
    assert "type='Other'" in twin.pretty_text
    assert "type='Net'" in once.pretty_text


def test_it_is_a_config_with_all_its_properties(cfg):
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
    assert pickle.loads(pickle.dumps(once)).pretty_text == cfg.pretty_text
