import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.apis import init_model
from mmseg.registry import MODELS
from torch.testing import assert_close

from mcdrl_common.model_settings import model_hash
from mcdrl_mmseg import config_path
from mcdrl_mmseg.apis import CheckpointConfigError, CheckpointError, load_segmentor
from mcdrl_mmseg.apis.checkpoint import read_checkpoint
from mcdrl_mmseg.apis.image_pipeline import prepare
from mcdrl_mmseg.engine.insertion import insert_mcdrl


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.system, (f'touch {self.place}',)


@pytest.fixture
def save(tmp_path):
    def save_content(content) -> str:
        path = tmp_path / 'odd.pth'
        torch.save(content, path)
        return str(path)

    return save_content


def test_a_checkpoint_alone_gives_the_model_that_mmseg_builds_with_its_config(
    tiny_checkpoint, tiny_config
):
    model = load_segmentor(tiny_checkpoint, device='cpu')
    expected = init_model(str(tiny_config), str(tiny_checkpoint), device='cpu')
    inputs = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        assert_close(model(inputs), expected(inputs), rtol=0, atol=0)
    assert not model.training
    assert model.dataset_meta['classes'] == ('background', 'lesion')


def test_a_checkpoint_without_a_config_needs_a_config_file(
    tiny_checkpoint, tiny_config, save
):
    content = read_checkpoint(tiny_checkpoint)
    del content['meta']
    path = save(content)
    with pytest.raises(CheckpointError, match=r'odd\.pth does not hold the config'):
        load_segmentor(path, device='cpu')
    model = load_segmentor(path, tiny_config, device='cpu')
    assert model.dataset_meta['classes'] == ('background', 'class 1')


def test_a_config_that_asks_for_mcdrl_gives_the_model_that_was_trained(tmp_path):
    # The file that --config of the tools names: before MCDRL is inserted.
    path = tmp_path / 'mixed.py'
    path.write_text(
        f'_base_ = [{config_path("mixing/own_segformer_mcdrl.py")!r}]\n'
        "mcdrl = dict(clip=dict(model_name='mcdrl-tiny-rn', pretrained='builtin'))\n"
    )
    cfg = Config.fromfile(path)
    init_default_scope('mmseg')
    trained = MODELS.build(insert_mcdrl(cfg).model)
    torch.save(trained.state_dict(), tmp_path / 'mixed.pth')
    for config in (path, cfg):
        model = load_segmentor(tmp_path / 'mixed.pth', config, device='cpu')
        assert_close(model.state_dict(), trained.state_dict(), rtol=0, atol=0)
        assert 'mcdrl' not in model.cfg
    assert 'mcdrl' in cfg


def test_the_config_may_be_stored_in_the_message_hub(tiny_checkpoint, save):
    content = read_checkpoint(tiny_checkpoint)
    content['message_hub']['runtime_info'] = {'cfg': content['meta'].pop('cfg')}
    assert load_segmentor(save(content), device='cpu').cfg.default_scope == 'mmseg'


@pytest.mark.parametrize('where', ['meta', 'optimizer'])
def test_a_malicious_pickle_in_a_checkpoint_is_refused_and_not_run(
    tiny_checkpoint, save, tmp_path, where
):
    place = tmp_path / 'ran'
    content = read_checkpoint(tiny_checkpoint)
    content[where] = Evil(place)
    with pytest.raises(
        CheckpointError, match=r'odd\.pth was refused: it contains more than tensors'
    ) as e:
        load_segmentor(save(content), device='cpu')
    assert 'system' in str(e.value)
    assert 'weights_only=False' not in str(e.value)
    assert not place.exists()


def test_a_plain_pickle_is_refused_and_not_run(tmp_path):
    place, path = tmp_path / 'ran', tmp_path / 'odd.pth'
    path.write_bytes(pickle.dumps(Evil(place)))
    with pytest.raises(CheckpointError, match=r'odd\.pth'):
        read_checkpoint(path)
    assert not place.exists()


def test_a_config_that_is_a_program_is_refused_and_not_run(
    tiny_checkpoint, save, tmp_path
):
    place = tmp_path / 'ran'
    content = read_checkpoint(tiny_checkpoint)
    content['meta']['cfg'] += f"\nimport os\nos.system('touch {place}')\n"
    with pytest.raises(CheckpointConfigError, match=r'odd\.pth: line'):
        load_segmentor(save(content), device='cpu')
    assert not place.exists()


@pytest.mark.parametrize('content', [b'', b'<html>not found</html>', b'PK\x03\x04cut'])
def test_a_damaged_file_is_named_in_the_error(tmp_path, content):
    path = tmp_path / 'odd.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'odd\.pth'):
        read_checkpoint(path)


def test_a_file_name_that_is_too_long_is_named_in_the_error():
    with pytest.raises(CheckpointError, match=r'a\.pth.*File name too long'):
        read_checkpoint('a' * 5000 + 'a.pth')


def test_a_missing_checkpoint_and_a_missing_config_are_named_in_the_error(
    tmp_path, tiny_checkpoint
):
    with pytest.raises(CheckpointError, match=r'gone\.pth.* is not a file'):
        read_checkpoint(tmp_path / 'gone.pth')
    with pytest.raises(FileNotFoundError, match=r'gone\.py'):
        load_segmentor(tiny_checkpoint, tmp_path / 'gone.py')


@pytest.mark.parametrize('content', [{'meta': {}}, {'state_dict': {}}, [1], 3])
def test_a_file_without_weights_is_refused(save, content):
    with pytest.raises(CheckpointError, match='holds no weights'):
        read_checkpoint(save(content))


def test_a_plain_state_dict_is_read(save):
    content = read_checkpoint(save({'weight': torch.ones(2)}))
    assert_close(content['state_dict']['weight'], torch.ones(2))


def test_weights_that_do_not_fit_the_model_are_refused(tiny_checkpoint, save):
    content = read_checkpoint(tiny_checkpoint)
    key = 'decode_head.dictionary.confounder_embeddings'
    del content['state_dict'][key]
    with pytest.raises(CheckpointError, match=f'1 of .* missing .{key}'):
        load_segmentor(save(content), device='cpu')
    content['state_dict'][key] = torch.zeros(3, 128)
    with pytest.raises(CheckpointError, match=f'1 have a different shape .{key}'):
        load_segmentor(save(content), device='cpu')


def test_weights_of_a_distributed_run_are_read(tiny_checkpoint, save):
    content = read_checkpoint(tiny_checkpoint)
    state = content['state_dict']
    content['state_dict'] = {f'module.{key}': value for key, value in state.items()}
    model = load_segmentor(save(content), device='cpu')
    assert_close(dict(model.state_dict()), dict(state))


def test_the_callers_config_is_not_changed(tiny_checkpoint, tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.model.train_cfg = dict(mine=1)
    load_segmentor(tiny_checkpoint, cfg, device='cpu')
    assert cfg.model.train_cfg == dict(mine=1)


@pytest.fixture
def load_with_mmengine(tiny_config):
    """Loads a checkpoint as ``test``, ``load_from`` and ``--resume`` do."""

    def load(path: str):
        model = MODELS.build(Config.fromfile(tiny_config).model)
        load_checkpoint(model, path, map_location='cpu')

    return load


@pytest.mark.reliability('fault', 'a weight that is NaN, infinite, or an integer')
@pytest.mark.parametrize(
    ('change', 'word'),
    [
        (lambda w: w.index_fill(0, torch.tensor([0]), float('nan')), 'NaN'),
        (lambda w: w.index_fill(0, torch.tensor([0]), float('inf')), 'NaN'),
        (lambda w: w.to(torch.int32), r'torch\.int32'),
        (lambda w: w > 0, r'torch\.bool'),
    ],
)
def test_weights_that_are_not_finite_floats_are_refused(
    tiny_checkpoint, save, load_with_mmengine, change, word
):
    content = read_checkpoint(tiny_checkpoint)
    state = content['state_dict']
    key = next(k for k, v in state.items() if 'decode_head' in k and v.ndim > 1)
    state[key] = change(state[key])
    path = save(content)
    for load in (load_segmentor, load_with_mmengine):
        with pytest.raises(CheckpointError, match=word) as caught:
            load(path)
        assert key in str(caught.value)


@pytest.mark.reliability('bad input', 'a checkpoint whose parts are of another type')
@pytest.mark.parametrize(
    ('place', 'value', 'named'),
    [
        ('meta', ['x'], 'meta'),
        ('meta', 'x', 'meta'),
        ('message_hub', 5, 'message_hub'),
        ('state_dict', {1: torch.ones(2)}, 'state_dict: the key 1'),
        ('state_dict', {'a': torch.ones(2), ('b',): 3}, r"the key \('b',\)"),
    ],
)
def test_checkpoint_entries_of_another_type_are_named_in_the_error(
    tiny_checkpoint, save, load_with_mmengine, place, value, named
):
    path = save({**read_checkpoint(tiny_checkpoint), place: value})
    for load in (load_segmentor, load_with_mmengine):
        with pytest.raises(CheckpointError, match=rf'odd\.pth.*{named}'):
            load(path)


@pytest.mark.reliability('bad input', 'a checkpoint whose names of classes are none')
@pytest.mark.parametrize(
    ('meta', 'named'),
    [
        (['x'], r"dataset_meta.*\['x'\]"),
        (5, 'dataset_meta.*5'),
        (dict(classes=5), 'classes.*5'),
        (dict(classes='ab'), "classes.*'ab'"),
        (dict(classes=[1, 2]), r'classes.*\[1, 2\]'),
        (dict(classes=[['a'], {}]), r"classes.*\['a'\]"),
        (dict(classes=[torch.ones(2)] * 2), 'classes.*tensor'),
        (dict(classes=['a\ud800', 'b']), 'classes'),
        (dict(palette=5), 'palette.*5'),
        (dict(palette=[1, 2]), r'palette.*\[1, 2\]'),
        (dict(palette=[['a'], ['b']]), 'palette'),
        (dict(palette=[[0, 0, 0], [0, 0]]), 'palette'),
        (dict(palette=[[0, 0, 0], [0, 0, 256]]), 'palette'),
        (dict(palette=[[0, 0, 0], [0, 0, 1.5]]), 'palette'),
    ],
)
def test_class_names_and_colours_of_another_type_are_refused(
    tiny_checkpoint, save, meta, named
):
    content = read_checkpoint(tiny_checkpoint)
    content['meta']['dataset_meta'] = meta
    path = save(content)
    with pytest.raises(
        CheckpointError, match=rf'odd\.pth: .*{named}.* in meta must be'
    ):
        load_segmentor(path, device='cpu')


def test_class_names_and_colours_are_read_from_the_checkpoint(tiny_checkpoint, save):
    content = read_checkpoint(tiny_checkpoint)
    for palette in ([(0, 0, 0), [9, 8, 7]], np.array([[0, 0, 0], [9, 8, 7]])):
        meta = dict(classes=['background', 'polyp'], palette=palette)
        content['meta']['dataset_meta'] = meta
        taken = load_segmentor(save(content), device='cpu').dataset_meta
        assert taken == dict(
            classes=('background', 'polyp'), palette=[[0, 0, 0], [9, 8, 7]]
        )


@pytest.mark.reliability('bad input', 'a config in a checkpoint that cannot be built')
@pytest.mark.parametrize(
    ('text', 'named'),
    [
        ('model = dict()', "model.*'type'"),
        ("model = dict(type='EncoderDecoder')", 'model.*EncoderDecoder.*decode_head'),
        ("model = dict(type='EncoderDecoder', backbone=5, decode_head=5)", 'model'),
        ("model = {'type': 'EncoderDecoder', 'a-b': 1}", 'model'),
        ("model = dict(type='ResNet', depth=18)", 'ResNet.*not a segmentor'),
        (f"model = dict(type='EncoderDecoder', a={'[' * 150}{']' * 150})", 'model'),
    ],
)
def test_a_config_that_cannot_be_built_is_named_in_the_error(
    tiny_checkpoint, save, text, named
):
    content = read_checkpoint(tiny_checkpoint)
    content['meta']['cfg'] = text + '\n'
    with pytest.raises(CheckpointConfigError, match=rf'odd\.pth: .*{named}') as caught:
        load_segmentor(save(content), device='cpu')
    assert len(str(caught.value)) < 600


def test_a_pipeline_that_cannot_be_built_is_named_in_the_error(
    tiny_checkpoint, tiny_config, save
):
    content = read_checkpoint(tiny_checkpoint)
    cfg = Config.fromfile(tiny_config)
    cfg.test_pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', b=1)]
    content['meta']['cfg'] = cfg.pretty_text
    model = load_segmentor(save(content), device='cpu')
    with pytest.raises(CheckpointConfigError, match=r'odd\.pth: test_pipeline'):
        prepare(model, np.zeros((8, 8, 3), np.uint8))


@pytest.mark.reliability('fault', 'a checkpoint of which one byte has changed')
def test_a_changed_byte_is_detected_however_the_checkpoint_is_loaded(
    tiny_checkpoint, tmp_path, load_with_mmengine
):
    content = bytearray(tiny_checkpoint.read_bytes())
    with zipfile.ZipFile(tiny_checkpoint) as archive:
        # A weight, which torch reads without checking its checksum.
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    content[largest.header_offset + largest.file_size // 2] ^= 1
    path = tmp_path / 'odd.pth'
    path.write_bytes(content)
    torch.load(path, weights_only=False)
    with pytest.raises(CheckpointError, match=r'odd\.pth is damaged: .*checksum'):
        load_segmentor(path, device='cpu')
    with pytest.raises(CheckpointError, match=r'odd\.pth is damaged: .*checksum'):
        load_with_mmengine(str(path))


def test_a_compressed_checkpoint_is_refused_as_a_possible_zip_bomb(
    tiny_checkpoint, tmp_path
):
    path = tmp_path / 'odd.pth'
    with (
        zipfile.ZipFile(tiny_checkpoint) as source,
        zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(CheckpointError, match=r'odd\.pth .*is compressed'):
        read_checkpoint(path)


PURE_PYTHON = """
from mmcv.transforms import LoadImageFromFile, Resize
from mmengine.config import read_base
from mmengine.runner import IterBasedTrainLoop
from mmseg.datasets.transforms import PackSegInputs
from mmseg.models.backbones import ResNet
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.models.decode_heads import FCNHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.segmentors import EncoderDecoder
from torch.nn import BatchNorm2d

norm_cfg = dict(type=BatchNorm2d)
model = dict(
    type=EncoderDecoder,
    data_preprocessor=dict(type=SegDataPreProcessor, bgr_to_rgb=True),
    backbone=dict(type=ResNet, depth=18, norm_cfg=norm_cfg, base_channels=8),
    decode_head=dict(
        type=FCNHead, in_channels=64, channels=8, num_convs=1, num_classes=2,
        norm_cfg=norm_cfg, loss_decode=dict(type=CrossEntropyLoss)),
    test_cfg=dict(mode='whole'))
test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(64, 64)),
    dict(type=PackSegInputs)]
train_cfg = dict(type=IterBasedTrainLoop, max_iters=5)
"""


@pytest.fixture
def pure_python(tmp_path, save):
    """A config in MMEngine's pure Python style, and a checkpoint with it."""
    file = tmp_path / 'pure.py'
    file.write_text(PURE_PYTHON)
    cfg = Config.fromfile(file)
    state = MODELS.build(cfg.model).state_dict()
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=('a', 'b')))
    return file, save(dict(meta=meta, state_dict=state))


@pytest.mark.reliability('silent', 'a checkpoint of a pure Python config')
def test_checkpoints_of_pure_python_configs_predict_alike_without_the_config_file(
    pure_python,
):
    file, checkpoint = pure_python
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    scores = []
    for config in (None, file):
        model = load_segmentor(checkpoint, config, 'cpu')
        inputs, _ = prepare(model, image)
        assert inputs.shape == (1, 3, 64, 64)
        with torch.no_grad():
            scores.append(model(inputs))
    assert torch.equal(*scores)


@pytest.mark.reliability('security', 'a class of a config that is named by its module')
@pytest.mark.parametrize(
    'path',
    [
        'evil.ResNet',
        'os.system',
        'mmseg.models.builder.warnings.warn',
        'mmengine.config.Config',
        'torch.hub.load',
    ],
)
def test_a_module_path_that_is_not_a_registered_class_is_refused_and_not_imported(
    pure_python, save, monkeypatch, tmp_path, path
):
    (tmp_path / 'evil.py').write_text(f"open(r'{tmp_path}/ran', 'w')\nResNet = dict\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    content = torch.load(pure_python[1])
    text = content['meta']['cfg']
    content['meta']['cfg'] = text.replace('mmseg.models.backbones.ResNet', path)
    assert content['meta']['cfg'] != text
    with pytest.raises(CheckpointConfigError, match='is not a registered component'):
        load_segmentor(save(content), device='cpu')
    assert not (tmp_path / 'ran').exists()


def test_confounders_keep_their_names_although_mmengine_sorts_the_families(
    tmp_path, new_model, checkpoint_content
):
    model = new_model()
    names = list(model.decode_head.dictionary.prompts.confounder_names)
    content = checkpoint_content(model)
    content['meta']['confounder_names'] = names
    torch.save(content, tmp_path / 'x.pth')
    loaded = load_segmentor(tmp_path / 'x.pth', device='cpu')
    assert loaded.decode_head.dictionary.prompts.confounder_names == tuple(names)
    # The first family of the prompt set is not the first by name.
    assert names[0] == 'blur'
    content['meta']['confounder_names'] = [*names[:-1], 'something else']
    torch.save(content, tmp_path / 'x.pth')
    loaded = load_segmentor(tmp_path / 'x.pth', device='cpu')
    assert loaded.decode_head.dictionary.prompts.confounder_names[0] != 'blur'


def test_a_config_with_other_confounders_than_the_checkpoint_is_refused(
    tmp_path, new_model, checkpoint_content, tiny_config
):
    model = new_model()
    content = checkpoint_content(model)
    content['meta'].update(model.decode_head.dictionary.notes())
    torch.save(content, tmp_path / 'x.pth')
    cfg = Config.fromfile(tiny_config)
    load_segmentor(tmp_path / 'x.pth', cfg, device='cpu')
    families = cfg.model.decode_head.dictionary.prompts.confounders
    names = next(iter(families.values()))
    families[next(iter(families))] = ['strawberries', *names[1:]]
    with pytest.raises(CheckpointError, match=r'x\.pth: .*strawberries'):
        load_segmentor(tmp_path / 'x.pth', cfg, device='cpu')


def test_a_config_with_another_prior_is_refused_as_it_would_have_no_effect(
    tmp_path, new_model, checkpoint_content, tiny_config
):
    torch.save(checkpoint_content(new_model()), tmp_path / 'x.pth')
    cfg = Config.fromfile(tiny_config)
    dictionary = cfg.model.decode_head.dictionary
    names = [name for part in dictionary.prompts.confounders.values() for name in part]
    dictionary.prior = dict.fromkeys(names, 0.0) | {names[0]: 1.0}
    with pytest.raises(CheckpointError, match=r'x\.pth: .*trained with the prior P'):
        load_segmentor(tmp_path / 'x.pth', cfg, device='cpu')


@pytest.mark.parametrize('by_name', [False, True])
def test_a_loaded_model_has_the_hash_of_its_config(
    tiny_checkpoint, tiny_config, by_name
):
    config = str(tiny_config) if by_name else None
    model = load_segmentor(tiny_checkpoint, config, 'cpu')
    assert model.model_hash == model_hash(Config.fromfile(tiny_config).model)
