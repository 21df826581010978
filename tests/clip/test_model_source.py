"""Models named by a folder or a Hub repository, and the files read from there."""

import json

import pytest
import torch
from safetensors.torch import save_file

from mcdrl_mmseg.clip import CLIPSpec, CLIPWeightsError
from mcdrl_mmseg.clip.model_config import context_length, get_model_config
from mcdrl_mmseg.clip.model_source import (
    ModelSourceError,
    hub_file,
    source_weights,
)
from mcdrl_mmseg.clip.towers import build_image_tower, load_tower_weights

TINY = 'mcdrl-tiny-vit'


@pytest.fixture
def folder(tmp_path, tiny_clips):
    """A folder in open_clip's layout that holds the tiny model."""
    config = {**get_model_config(TINY), 'quick_gelu': True}
    content = dict(model_cfg=config, preprocess_cfg=dict(mean=[0.5] * 3))
    (tmp_path / 'open_clip_config.json').write_text(json.dumps(content))
    save_file(tiny_clips[TINY].state_dict(), tmp_path / 'open_clip_model.safetensors')
    return tmp_path


def test_the_model_config_is_read_from_a_folder(folder):
    name = f'local-dir:{folder}'
    assert get_model_config(name)['embed_dim'] == 128
    assert CLIPSpec(name).uses_quick_gelu


def test_a_folder_provides_the_weights_unless_others_are_given(
    folder, tiny_clips, tmp_path
):
    spec = CLIPSpec(f'local-dir:{folder}')
    assert spec.weights == spec.model_name
    tower = build_image_tower(spec)
    load_tower_weights(tower, spec, 'visual.')
    expected = tiny_clips[TINY].visual.conv1.weight
    assert torch.equal(tower.conv1.weight, expected)
    assert CLIPSpec(spec.model_name, 'other.pt').weights == 'other.pt'
    assert CLIPSpec(TINY).weights is None


def test_moving_a_folder_keeps_its_identity_and_editing_its_config_changes_it(
    folder, tmp_path_factory
):
    first = CLIPSpec(f'local-dir:{folder}').identity()
    moved = tmp_path_factory.mktemp('moved') / 'clip'
    folder.rename(moved)
    spec = CLIPSpec(f'local-dir:{moved}')
    assert spec.identity() == first
    path = moved / 'open_clip_config.json'
    content = json.loads(path.read_text())
    content['model_cfg']['text_cfg']['heads'] = 1
    path.write_text(json.dumps(content))
    assert spec.identity()['text_tower'] != first['text_tower']
    assert spec.identity()['weights'] == first['weights']


def test_open_clip_files_come_first_and_safetensors_before_pickles(tmp_path):
    name = f'local-dir:{tmp_path}'
    (tmp_path / 'open_clip_config.json').write_text('{}')
    order = ('pytorch_model.bin', 'model.safetensors', 'open_clip_pytorch_model.bin')
    for file in (*order, 'open_clip_model.safetensors'):
        (tmp_path / file).touch()
        assert source_weights(name).name == file


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'found neither'),
        ('[1', 'cannot be read as JSON'),
        ('[1]', 'is not a JSON object'),
        ('{"model_cfg": {"embed_dim": 3}}', 'does not describe a CLIP'),
    ],
)
def test_a_folder_without_a_readable_model_is_an_error_with_the_reason(
    tmp_path, content, message
):
    if content is not None:
        (tmp_path / 'open_clip_config.json').write_text(content)
    with pytest.raises(ModelSourceError, match=message):
        get_model_config(f'local-dir:{tmp_path}')


def test_a_config_of_another_model_type_is_an_error_that_names_it(tmp_path):
    (tmp_path / 'config.json').write_text('{"model_type": "siglip"}')
    with pytest.raises(ModelSourceError, match=r"config\.json of 'siglip'"):
        get_model_config(f'local-dir:{tmp_path}')


def test_a_missing_folder_and_missing_weights_are_errors(tmp_path, folder):
    with pytest.raises(ModelSourceError, match='is not a folder'):
        get_model_config(f'local-dir:{tmp_path / "none"}')
    (folder / 'open_clip_model.safetensors').unlink()
    spec = CLIPSpec(f'local-dir:{folder}')
    with pytest.raises(CLIPWeightsError, match='holds no weights'):
        load_tower_weights(build_image_tower(spec), spec, 'visual.')


def test_a_cached_file_of_the_hub_is_not_downloaded_again(monkeypatch, tmp_path):
    path = tmp_path / 'config.json'
    path.touch()
    monkeypatch.setattr(
        'huggingface_hub.try_to_load_from_cache', lambda *args: str(path)
    )
    monkeypatch.setattr('huggingface_hub.hf_hub_download', None)
    assert hub_file('org/name', 'config.json') == path


def test_a_file_absent_from_the_hub_gives_none_and_a_failed_download_an_error(
    monkeypatch,
):
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    monkeypatch.setattr('huggingface_hub.try_to_load_from_cache', lambda *args: None)
    reasons = iter([LocalEntryNotFoundError('offline'), OSError('unreachable')])

    def fail(*args):
        raise next(reasons)

    monkeypatch.setattr('huggingface_hub.hf_hub_download', fail)
    for reason in ('offline', 'unreachable'):
        with pytest.raises(ModelSourceError, match=rf'{reason}.*local-dir:'):
            hub_file('org/name', 'config.json')

    class Absent(EntryNotFoundError):
        def __init__(self):
            Exception.__init__(self)

    reasons = iter([Absent()])
    assert hub_file('org/name', 'config.json') is None


def test_the_context_length_defaults_to_the_77_tokens_of_open_clip():
    assert context_length({}) == 77
    assert context_length({'context_length': 32}) == 32
