import hashlib
import os
import pickle
import zipfile

import pytest
import torch
from open_clip.model import convert_to_custom_text_state_dict
from safetensors.torch import save_file

from mcdrl_mmseg.clip.torchscript import is_torchscript
from mcdrl_mmseg.clip.weights import (
    CLIPWeightsError,
    is_tag,
    load_clip_state_dict,
    resolve_weights_file,
    tag_uses_quick_gelu,
    weights_digest,
)


@pytest.fixture(scope='module')
def model(tiny_clips):
    return tiny_clips['mcdrl-tiny-rn']


def save_checkpoint(model, path):
    """As open_clip's training writes them, from a distributed model."""
    state = {f'module.{key}': value for key, value in model.state_dict().items()}
    optimizer = {'state': {0: {'step': 3.0}}, 'param_groups': [{'lr': 1e-3}]}
    torch.save({'epoch': 5, 'state_dict': state, 'optimizer': optimizer}, path)


def save_state_dict(model, path):
    torch.save(model.state_dict(), path)


def save_half_state_dict(model, path):
    torch.save({k: v.half() for k, v in model.state_dict().items()}, path)


def save_separate_towers(model, path):
    torch.save(convert_to_custom_text_state_dict(model.state_dict()), path)


def save_safetensors(model, path):
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)


def save_old_format(model, path):
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    ('save', 'name', 'halved'),
    [
        (save_checkpoint, 'epoch_5.pt', False),
        (save_state_dict, 'clip.bin', False),
        (save_old_format, 'clip.pth', False),
        (save_half_state_dict, 'clip.pth', True),
        (save_separate_towers, 'clip.pth', False),
        (save_safetensors, 'clip.safetensors', False),
    ],
)
def test_every_file_format_gives_both_towers_in_the_same_layout(
    model, tmp_path, save, name, halved
):
    path = tmp_path / name
    save(model, path)
    assert not is_torchscript(path)
    assert_same_weights(load_clip_state_dict(path), model, halved)


def test_an_openai_archive_gives_both_towers_in_the_same_layout(
    model, tmp_path, save_archive
):
    path = tmp_path / 'RN50.pt'
    save_archive(model, path)
    assert is_torchscript(path)
    state = load_clip_state_dict(path)
    del state['attn_mask']  # derived, not a parameter of either tower
    assert_same_weights(state, model, halved=True)


def assert_same_weights(state, model, halved):
    expected = convert_to_custom_text_state_dict(model.state_dict())
    assert set(state) == set(expected)
    for key, value in expected.items():
        value = value.half() if halved else value
        assert torch.equal(state[key].float(), value.float()), key


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('empty.pt', b''),
        ('noise.pt', bytes(range(256)) * 8),
        ('pointer.pt', b'version https://git-lfs.github.com/spec/v1\noid sha256:0'),
        ('page.safetensors', b'<!DOCTYPE html><html></html>'),
        ('page.pt', b'<!DOCTYPE html><html></html>'),
    ],
)
def test_a_file_without_weights_is_reported_as_possibly_damaged(
    tmp_path, name, content
):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CLIPWeightsError, match='may be damaged') as caught:
        load_clip_state_dict(path)
    assert str(path) in str(caught.value)
    assert 'weights_only' not in str(caught.value)


@pytest.mark.parametrize(
    ('save', 'name'),
    [
        (save_state_dict, 'clip.pt'),
        (save_old_format, 'clip.pt'),
        (save_safetensors, 'clip.safetensors'),
    ],
)
def test_a_truncated_file_is_reported_as_possibly_damaged(model, tmp_path, save, name):
    path = tmp_path / name
    save(model, path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(CLIPWeightsError, match='may be damaged') as caught:
        load_clip_state_dict(path)
    assert str(path) in str(caught.value)


def test_a_truncated_archive_is_reported_as_possibly_damaged(
    model, tmp_path, save_archive
):
    path = tmp_path / 'RN50.pt'
    save_archive(model, path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(CLIPWeightsError, match=r'RN50\.pt.* may be damaged'):
        load_clip_state_dict(path)


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), 'w')


def save_zipped_pickle(content, path):
    torch.save(content, path)


def save_old_pickle(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.reliability('security', 'a pickle that runs code as `pretrained=`')
@pytest.mark.parametrize('save', [save_zipped_pickle, save_old_pickle])
def test_a_pickle_with_code_is_refused_by_name_and_not_run(tmp_path, save):
    path, target = tmp_path / 'clip.pt', tmp_path / 'written'
    save({'visual.proj': torch.zeros(2), 'x': Malicious(target)}, path)
    with pytest.raises(CLIPWeightsError, match='can run code') as caught:
        load_clip_state_dict(path)
    assert str(path) in str(caught.value)
    assert 'safetensors' in str(caught.value)
    assert 'weights_only' not in str(caught.value)
    assert not target.exists()


def test_a_plain_pickle_with_code_is_refused_and_not_run(tmp_path):
    path, target = tmp_path / 'clip.pt', tmp_path / 'written'
    path.write_bytes(pickle.dumps({'x': Malicious(target)}, protocol=2))
    with pytest.raises(CLIPWeightsError, match=r'clip\.pt'):
        load_clip_state_dict(path)
    assert not target.exists()


def test_a_pickle_disguised_as_torchscript_is_refused_and_not_run(tmp_path):
    path, target = tmp_path / 'clip.pt', tmp_path / 'written'
    with zipfile.ZipFile(path, 'w') as archive:
        for name in ('a/constants.pkl', 'a/data.pkl'):
            archive.writestr(name, pickle.dumps(Malicious(target), protocol=2))
        archive.writestr('a/version', '3\n')
    assert is_torchscript(path)
    with pytest.raises(CLIPWeightsError, match=r'clip\.pt'):
        load_clip_state_dict(path)
    assert not target.exists()


@pytest.mark.parametrize(
    'content',
    [
        # A text tower of transformers by itself.
        {'text_model.final_layer_norm.weight': torch.zeros(2)},
        {'state_dict': {'module.text_projection': torch.zeros(2)}},
        {},
        [torch.zeros(2)],
        torch.zeros(2),
    ],
)
def test_a_file_without_an_image_tower_is_an_error_that_names_the_expected_keys(
    tmp_path, content
):
    path = tmp_path / 'clip.pt'
    torch.save(content, path)
    with pytest.raises(CLIPWeightsError, match=r'expected keys "visual\.\*"') as caught:
        load_clip_state_dict(path)
    assert str(path) in str(caught.value)
    assert 'open_clip or OpenAI' in str(caught.value)


def test_unexpected_hugging_face_keys_are_shown_in_the_error(tmp_path):
    path = tmp_path / 'model.safetensors'
    save_file({'vision_model.post_layernorm.bias': torch.zeros(2)}, path)
    with pytest.raises(CLIPWeightsError, match=r'vision_model\.post_layernorm\.bias'):
        load_clip_state_dict(path)


def test_pretrained_tags_are_distinguished_from_files():
    assert is_tag('openai', 'RN50')
    assert is_tag('openai', 'ViT-B/16')
    assert not is_tag('openai', 'mcdrl-tiny-vit')
    assert not is_tag('/a/file.pt', 'RN50')


def test_tags_of_openai_use_quick_gelu_and_others_do_not():
    assert tag_uses_quick_gelu('openai', 'ViT-B/16')
    assert not tag_uses_quick_gelu('laion2b_s34b_b88k', 'ViT-B-16')


def test_an_existing_file_is_resolved_to_itself(tmp_path, monkeypatch):
    path = tmp_path / 'clip.pt'
    path.write_bytes(b'x')
    assert resolve_weights_file(str(path), 'RN50') == path
    monkeypatch.setenv('HOME', str(tmp_path))
    assert resolve_weights_file('~/clip.pt', 'RN50') == path


def test_a_name_that_is_neither_file_nor_tag_is_an_error_that_lists_the_tags():
    with pytest.raises(CLIPWeightsError, match=r"'opneai' is neither .*'openai'"):
        resolve_weights_file('opneai', 'RN50')


def test_a_tag_that_cannot_be_downloaded_is_an_error_that_says_what_to_do(monkeypatch):
    def no_network(cfg, **_):
        assert cfg['hf_hub'] or cfg['url']
        raise OSError('no route to host')

    monkeypatch.setattr('open_clip.pretrained.download_pretrained', no_network)
    with pytest.raises(
        CLIPWeightsError, match=r"pretrained='openai' of RN50 .*no route to host.*file"
    ):
        resolve_weights_file('openai', 'RN50')


def test_a_tag_takes_precedence_over_a_file_of_the_same_name(tmp_path, monkeypatch):
    """Otherwise the loaded weights might not be those that the fingerprint names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'openai').write_bytes(b'x')
    published = tmp_path / 'published.pt'
    monkeypatch.setattr(
        'open_clip.pretrained.download_pretrained', lambda cfg: str(published)
    )
    assert resolve_weights_file('openai', 'RN50') == published
    assert resolve_weights_file('./openai', 'RN50').read_bytes() == b'x'


@pytest.mark.reliability('security', 'weights whose SHA-256 is not the demanded one')
def test_a_file_can_be_required_to_have_a_hash(tmp_path):
    path = tmp_path / 'clip.pt'
    path.write_bytes(b'abc')
    right = hashlib.sha256(b'abc').hexdigest()
    for digits in (right, right.upper()):
        assert resolve_weights_file(f'{path}#sha256={digits}', 'RN50') == path
    for digits in ('0' * 64, right[:8], ''):
        with pytest.raises(CLIPWeightsError, match=f'{path} has .*{right}, but') as e:
            resolve_weights_file(f'{path}#sha256={digits}', 'RN50')
        assert digits in str(e.value)


@pytest.mark.reliability('security', 'downloaded CLIP weights that were changed since')
def test_a_file_of_the_hub_must_match_the_hash_in_its_name(tmp_path, monkeypatch):
    blob = tmp_path / hashlib.sha256(b'abc').hexdigest()
    path = tmp_path / 'open_clip_model.safetensors'
    path.symlink_to(blob)
    monkeypatch.setattr(
        'open_clip.pretrained.download_pretrained', lambda cfg: str(path)
    )
    blob.write_bytes(b'abc')
    assert resolve_weights_file('openai', 'RN50') == path
    blob.write_bytes(b'abd')
    with pytest.raises(CLIPWeightsError, match=f'published with {blob.name}'):
        resolve_weights_file('openai', 'RN50')


def test_the_digest_depends_on_the_content_and_not_on_the_path(tmp_path):
    one, other = tmp_path / 'a.pt', tmp_path / 'folder' / 'b.bin'
    other.parent.mkdir()
    for path in (one, other):
        path.write_bytes(b'abc' * 1000)
    assert weights_digest(one) == weights_digest(other)
    assert len(bytes.fromhex(weights_digest(one))) == 32


@pytest.mark.parametrize(
    ('size', 'change'),
    [
        (10, 'first byte'),
        (10, 'last byte'),
        (9_000_000, 'byte 1,100,000'),
        (9_000_000, 'longer'),
    ],
)
def test_the_digest_changes_with_the_content(tmp_path, size, change):
    path = tmp_path / 'clip.pt'
    content = bytearray(size)
    path.write_bytes(content)
    before = weights_digest(path)
    if change == 'longer':
        content.append(0)
    else:
        place = {'first byte': 0, 'last byte': -1, 'byte 1,100,000': 1_100_000}
        content[place[change]] = 1
    path.write_bytes(content)
    assert weights_digest(path) != before


def test_the_digest_changes_with_a_single_fine_tuned_tensor(model, tmp_path):
    path = tmp_path / 'clip.pt'
    state = model.state_dict()
    digests = set()
    for key, value in state.items():
        torch.save({**state, key: value + 1}, path)
        digests.add(weights_digest(path))
    assert len(digests) == len(state)


def test_a_weight_larger_than_its_file_is_refused_without_expanding_it(tmp_path):
    path = tmp_path / 'odd.pt'
    # 2 bytes that stand for 2 TB; as float32 they would be 4.
    value = torch.zeros(1, dtype=torch.float16).expand(1_000_000, 1_000_000)
    torch.save({'visual.conv1.weight': value}, path)
    with pytest.raises(CLIPWeightsError, match=r'odd\.pt: visual\.conv1\.weight has'):
        load_clip_state_dict(path)


@pytest.mark.reliability('security', 'half-precision weights of another shape')
def test_weights_are_not_converted_to_float32_before_their_shape_is_checked(
    tmp_path, monkeypatch
):
    path = tmp_path / 'half.pt'
    torch.save({'visual.other': torch.zeros(8, 8, dtype=torch.float16)}, path)
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, 'float', None)
        state = load_clip_state_dict(path)
    assert state['visual.other'].dtype == torch.float16


@pytest.mark.reliability('security', 'packed weights that unpack to any size')
def test_a_packed_table_of_excessive_size_is_refused(tmp_path):
    path = tmp_path / 'packed.pt'
    packed = {
        'token_embedding.rows': torch.zeros(1, 4),
        'token_embedding.ids': torch.zeros(1),
        'token_embedding.size': torch.tensor(10**12),
    }
    torch.save(packed, path)
    with pytest.raises(
        CLIPWeightsError, match=r'packed\.pt could not.*1000000000000 x'
    ):
        load_clip_state_dict(path)
