import json

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from mcdrl_mmseg.clip.towers import (
    CLIPSpec,
    build_image_tower,
    build_text_tower,
    load_tower_weights,
)
from mcdrl_mmseg.clip.weights import CLIPWeightsError


@pytest.fixture(scope='module')
def files(tiny_clips, tmp_path_factory) -> dict:
    """Model name -> file of its weights."""
    folder = tmp_path_factory.mktemp('weights')
    paths = {name: folder / f'{name}.safetensors' for name in tiny_clips}
    for name, model in tiny_clips.items():
        save_file(model.state_dict(), paths[name])
    return paths


def test_a_loaded_image_tower_gives_the_features_of_open_clip(tiny_clip, files, images):
    name, model = tiny_clip
    spec = CLIPSpec(name, str(files[name]))
    tower = build_image_tower(spec).eval()
    load_tower_weights(tower, spec, 'visual.')
    with torch.no_grad():
        assert_close(tower(images[name]), model.encode_image(images[name]))


def test_a_loaded_text_tower_gives_the_features_of_open_clip(tiny_clip, files):
    name, model = tiny_clip
    spec = CLIPSpec(name, str(files[name]))
    tower = build_text_tower(spec).eval()
    load_tower_weights(tower, spec, 'text.')
    tokens = torch.zeros(2, 32, dtype=torch.long)
    tokens[:, :3] = torch.tensor([[49406, 320, 49407], [49406, 1125, 49407]])
    with torch.no_grad():
        assert_close(tower(tokens), model.encode_text(tokens))


def test_towers_of_one_spec_share_the_width_of_the_joint_space():
    spec = CLIPSpec('mcdrl-tiny-rn')
    assert build_image_tower(spec).attnpool.c_proj.out_features == 128
    assert build_text_tower(spec).text_projection.shape[1] == 128


@pytest.mark.parametrize(
    ('name', 'kind'),
    [
        ('RN50', 'ModifiedResNet'),
        ('ViT-B/16', 'VisionTransformer'),
        ('ViT-B-16-SigLIP2', 'TimmModel'),
        ('coca_ViT-B-32', 'VisionTransformer'),
    ],
)
def test_published_architectures_can_be_built(name, kind):
    with torch.device('meta'):
        assert type(build_image_tower(CLIPSpec(name))).__name__ == kind


def test_an_unsupported_tower_is_refused_with_its_name_and_kind():
    name = 'vit_relpos_medium_patch16_cls_224'
    with (
        torch.device('meta'),
        pytest.raises(ValueError, match=rf"'{name}' .* timm's VisionTransformerRelPos"),
    ):
        build_image_tower(CLIPSpec(name))


@pytest.mark.parametrize(
    ('name', 'of'),
    [('mcdrl-tiny-vit', 'mcdrl-tiny-rn'), ('mcdrl-tiny-rn', 'mcdrl-tiny-vit')],
)
def test_weights_of_another_architecture_are_refused_naming_file_and_model(
    files, name, of
):
    spec = CLIPSpec(name, str(files[of]))
    with pytest.raises(CLIPWeightsError, match=f"model_name='{name}'") as caught:
        load_tower_weights(build_image_tower(spec), spec, 'visual.')
    assert str(files[of]) in str(caught.value)


def test_weights_of_another_width_are_refused_with_both_shapes(tiny_clips, tmp_path):
    state = dict(tiny_clips['mcdrl-tiny-vit'].state_dict())
    state['visual.proj'] = torch.zeros(192, 64)
    path = tmp_path / 'narrow.safetensors'
    save_file(state, path)
    spec = CLIPSpec('mcdrl-tiny-vit', str(path))
    with pytest.raises(
        CLIPWeightsError, match=r'proj \(192, 64\) \(expected \(192, 128\)\)'
    ):
        load_tower_weights(build_image_tower(spec), spec, 'visual.')


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        ('mcdrl-tiny-vit', 'visual.ln_post.weight'),
        ('mcdrl-tiny-rn', 'visual.layer2.0.bn1.running_var'),
    ],
)
def test_incomplete_weights_are_refused(tiny_clips, tmp_path, name, key):
    state = dict(tiny_clips[name].state_dict())
    del state[key]
    path = tmp_path / 'incomplete.safetensors'
    save_file(state, path)
    spec = CLIPSpec(name, str(path))
    with pytest.raises(CLIPWeightsError, match=key.removeprefix('visual.')):
        load_tower_weights(build_image_tower(spec), spec, 'visual.')


def test_weights_of_the_image_tower_alone_load_into_the_image_side_only(
    tiny_clips, tmp_path
):
    state = tiny_clips['mcdrl-tiny-vit'].state_dict()
    path = tmp_path / 'image.safetensors'
    save_file({k: v for k, v in state.items() if k.startswith('visual.')}, path)
    spec = CLIPSpec('mcdrl-tiny-vit', str(path))
    load_tower_weights(build_image_tower(spec), spec, 'visual.')
    with pytest.raises(CLIPWeightsError, match='missing'):
        load_tower_weights(build_text_tower(spec), spec, 'text.')


def test_positions_of_another_image_size_are_interpolated(tiny_clips, tmp_path, images):
    """Weights trained at 96 x 96 are loaded into a tower of 112 x 112."""
    from mcdrl_mmseg.clip.positions import fit_position_grid

    state = dict(tiny_clips['mcdrl-tiny-vit'].state_dict())
    small = torch.randn(1 + 12 * 12, 192, generator=torch.Generator().manual_seed(0))
    state['visual.positional_embedding'] = small
    path = tmp_path / 'small.safetensors'
    save_file(state, path)
    spec = CLIPSpec('mcdrl-tiny-vit', str(path))
    tower = build_image_tower(spec)
    load_tower_weights(tower, spec, 'visual.')
    assert_close(tower.positional_embedding.data, fit_position_grid(small, (14, 14)))


def test_text_positions_of_another_length_are_refused(tiny_clips, tmp_path):
    state = dict(tiny_clips['mcdrl-tiny-vit'].state_dict())
    texts = [key for key in state if not key.startswith('visual.')]
    (key,) = (key for key in texts if key.endswith('positional_embedding'))
    state[key] = state[key][:12].clone()
    path = tmp_path / 'short.safetensors'
    save_file(state, path)
    spec = CLIPSpec('mcdrl-tiny-vit', str(path))
    with pytest.raises(CLIPWeightsError, match=r'positional_embedding \(12, '):
        load_tower_weights(build_text_tower(spec), spec, 'text.')


@pytest.fixture(scope='module')
def archive(tiny_clips, tmp_path_factory, save_archive):
    """An archive in OpenAI's format, whose weights are trained with QuickGELU."""
    path = tmp_path_factory.mktemp('archive') / 'RN.pt'
    save_archive(tiny_clips['mcdrl-tiny-rn'], path)
    return path


def test_an_openai_archive_in_a_gelu_model_is_refused_with_the_remedy(archive):
    spec = CLIPSpec('mcdrl-tiny-rn', str(archive))
    with pytest.raises(CLIPWeightsError, match=r'Set quick_gelu=True') as caught:
        load_tower_weights(build_image_tower(spec), spec, 'visual.')
    assert str(archive) in str(caught.value)


@pytest.fixture
def told(monkeypatch):
    """The logged messages."""
    messages: list[str] = []
    log = 'mcdrl_mmseg.clip.towers.print_log'
    monkeypatch.setattr(log, lambda message, **_: messages.append(message))
    return messages


@pytest.mark.parametrize(
    ('model_name', 'quick_gelu', 'tells'),
    [('RN50', None, True), ('RN50', False, False), ('RN50x4', None, True)],
)
def test_a_file_without_a_recorded_activation_is_reported_unless_it_is_given(
    files, told, model_name, quick_gelu, tells
):
    path = files['mcdrl-tiny-rn']
    spec = CLIPSpec(model_name, str(path), quick_gelu)
    # The weights are of another architecture: refused after the check tested here.
    with pytest.raises(CLIPWeightsError, match='does not fit'):
        load_tower_weights(torch.nn.Linear(1, 1), spec, 'visual.')
    expected = [f'{path} does not record its activation'] if tells else []
    assert [message.partition(';')[0] for message in told] == expected


def test_an_architecture_without_quick_gelu_weights_is_not_reported(files, told):
    name = 'mcdrl-tiny-vit'
    spec = CLIPSpec(name, str(files[name]))
    load_tower_weights(build_image_tower(spec), spec, 'visual.')
    assert told == []


def test_an_openai_archive_loads_into_both_towers_of_a_quick_gelu_model(
    archive, tiny_clips
):
    spec = CLIPSpec('mcdrl-tiny-rn', str(archive), quick_gelu=True)
    image, text = build_image_tower(spec), build_text_tower(spec)
    load_tower_weights(image, spec, 'visual.')
    load_tower_weights(text, spec, 'text.')
    state = tiny_clips['mcdrl-tiny-rn'].state_dict()
    for tensor, key in (
        (image.conv1.weight, 'visual.conv1.weight'),
        (text.token_embedding.weight, 'token_embedding.weight'),
    ):
        assert torch.equal(tensor, state[key].half().float())


def test_quick_gelu_changes_the_activation_of_the_transformer():
    plain = build_image_tower(CLIPSpec('mcdrl-tiny-vit'))
    quick = build_image_tower(CLIPSpec('mcdrl-tiny-vit', quick_gelu=True))
    names = [type(t.transformer.resblocks[0].mlp.gelu).__name__ for t in (plain, quick)]
    assert names == ['GELU', 'QuickGELU']


@pytest.mark.parametrize(
    ('spec', 'quick'),
    [
        (CLIPSpec('ViT-B-16'), False),
        (CLIPSpec('ViT-B-16-quickgelu'), True),
        (CLIPSpec('ViT-B-16', 'openai'), True),
        (CLIPSpec('ViT-B/16', 'openai'), True),
        (CLIPSpec('ViT-B-16', 'laion2b_s34b_b88k'), False),
        (CLIPSpec('ViT-B-16', 'a/file.pt'), False),
        (CLIPSpec('ViT-B-16', 'a/file.pt', quick_gelu=True), True),
        (CLIPSpec('ViT-B-16', 'openai', quick_gelu=False), False),
    ],
)
def test_the_activation_follows_the_argument_then_the_name_then_the_tag(spec, quick):
    assert spec.uses_quick_gelu is quick


def test_the_identity_of_a_file_depends_only_on_its_content(files, tmp_path):
    moved = tmp_path / 'moved.safetensors'
    moved.write_bytes(files['mcdrl-tiny-vit'].read_bytes())
    one = CLIPSpec('mcdrl-tiny-vit', str(files['mcdrl-tiny-vit'])).identity()
    assert CLIPSpec('mcdrl-tiny-vit', str(moved)).identity() == one
    changed = bytearray(moved.read_bytes())
    changed[-1] ^= 1
    moved.write_bytes(changed)
    assert CLIPSpec('mcdrl-tiny-vit', str(moved)).identity() != one


def test_the_identity_distinguishes_models_weights_and_activations(files):
    path = str(files['mcdrl-tiny-vit'])
    specs = [
        CLIPSpec('mcdrl-tiny-vit'),
        CLIPSpec('mcdrl-tiny-rn'),
        CLIPSpec('mcdrl-tiny-vit', quick_gelu=True),
        CLIPSpec('mcdrl-tiny-vit', path),
        CLIPSpec('ViT-B-16', 'openai'),
        CLIPSpec('ViT-B-16', 'laion2b_s34b_b88k'),
    ]
    identities = [tuple(sorted(spec.identity().items())) for spec in specs]
    assert len(set(identities)) == len(specs)
    assert all(isinstance(v, str) for spec in specs for v in spec.identity().values())


def test_the_identity_of_a_tag_needs_no_download_and_ignores_the_spelling(monkeypatch):
    def fail(*_, **__):
        raise AssertionError('downloads')

    monkeypatch.setattr('open_clip.pretrained.download_pretrained', fail)
    assert (
        CLIPSpec('ViT-B/16', 'openai').identity()
        == CLIPSpec('ViT-B-16', 'openai').identity()
    )


def test_the_text_tower_of_coca_returns_only_its_embedding(tmp_path):
    """open_clip's tower returns a pair: the embedding and the tokens for captions."""
    from open_clip.model import _build_text_tower

    text = dict(context_length=16, vocab_size=300, width=32, heads=2, layers=2)
    text |= dict(embed_cls=True, output_tokens=True)
    vision = dict(image_size=32, patch_size=16, width=32, layers=2, head_width=16)
    content = dict(embed_dim=24, vision_cfg=vision, text_cfg=text)
    config = json.dumps(dict(model_cfg=content))
    (tmp_path / 'open_clip_config.json').write_text(config)
    torch.manual_seed(0)
    stock = _build_text_tower(24, text).eval()
    weights = {f'text.{name}': value for name, value in stock.state_dict().items()}
    # A whole checkpoint has an image tower too.
    weights['visual.class_embedding'] = torch.zeros(32)
    save_file(weights, tmp_path / 'open_clip_model.safetensors')
    spec = CLIPSpec(f'local-dir:{tmp_path}', f'{tmp_path}/open_clip_model.safetensors')
    tower = build_text_tower(spec).eval()
    load_tower_weights(tower, spec, 'text.')
    tokens = torch.randint(1, 300, (3, 16))
    with torch.no_grad():
        embedding, _ = stock(tokens)
        assert_close(tower(tokens), embedding)


def test_positions_of_a_square_grid_are_interpolated_to_one_that_is_not(tmp_path):
    """Weights trained at 64 x 64 are loaded into a tower of 32 x 128."""
    from mcdrl_mmseg.clip.positions import fit_position_grid

    vision = dict(image_size=64, patch_size=16, width=64, layers=1, head_width=32)
    text = dict(context_length=8, vocab_size=49408, width=32, heads=2, layers=1)
    config = dict(embed_dim=16, vision_cfg=vision, text_cfg=text)
    path = tmp_path / 'open_clip_config.json'
    path.write_text(json.dumps(config))
    spec = CLIPSpec(f'local-dir:{tmp_path}')
    square = build_image_tower(spec)
    state = {f'visual.{key}': value for key, value in square.state_dict().items()}
    save_file(state, tmp_path / 'open_clip_model.safetensors')
    vision['image_size'] = [32, 192]
    path.write_text(json.dumps(config))
    tower = build_image_tower(spec)
    load_tower_weights(tower, spec, 'visual.')
    expected = fit_position_grid(square.positional_embedding, (2, 12))
    assert_close(tower.positional_embedding, expected)
