"""An untrusted config reaches no file, module or network through any component.

The markers are harmless: a file whose opening, a module whose import and an address
whose look-up would be noticed.
"""

import inspect
import pickle
import socket
import sys
import threading

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS, TRANSFORMS

from mcdrl_mmseg.apis import CheckpointConfigError, load_segmentor
from mcdrl_mmseg.apis.checkpoint import read_checkpoint
from mcdrl_mmseg.apis.checkpoint_config import parse_config_text
from mcdrl_mmseg.apis.image_pipeline import build_image_pipeline
from mcdrl_mmseg.apis.sealing import sealed_building
from mcdrl_mmseg.apis.sealing.sealed_building import sealed

ADDRESS = 'https://marker.invalid/weights.pth'
MODULE = 'marker_module_of_this_test'
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
noticed: list[str] = []


class Noticed:
    """Notes that it was unpickled."""

    def __setstate__(self, state):
        noticed.append('unpickled')

    def __getstate__(self):
        return {'a': 1}


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A pickle whose loading is noticed, beside a module whose import is noticed."""
    noticed.clear()
    path = tmp_path / 'marker.pkl'
    path.write_bytes(pickle.dumps(Noticed()))
    (tmp_path / f'{MODULE}.py').write_text('class Norm:\n    pass\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('HF_HUB_OFFLINE', '0')
    init_default_scope('mmseg')
    yield str(path)
    assert not noticed
    assert MODULE not in sys.modules


def build(config):
    with sealed(dict(model=config), 'best.pth'), torch.device('meta'):
        return MODELS.build(config)


def timm(kind, **more):
    return dict(type=kind, model_name='resnet10t', pretrained=False, **more)


@pytest.mark.reliability('security', 'a config in a checkpoint that names a pickle')
@pytest.mark.parametrize(
    'loss', [dict(type='CrossEntropyLoss'), dict(type='LovaszLoss', reduction='none')]
)
def test_class_weights_are_not_unpickled(marker, loss):
    with pytest.raises(CheckpointConfigError, match=r'model\.class_weight='):
        build(dict(**loss, class_weight=marker))


@pytest.mark.reliability(
    'security', 'a config in a checkpoint that names what a wrapper would import'
)
@pytest.mark.parametrize('kind', ['TIMMBackbone', 'mmpretrain.TIMMBackbone'])
@pytest.mark.parametrize('name', [f'{MODULE}.Norm', 'collections.OrderedDict'])
def test_module_names_in_a_config_are_not_imported(marker, kind, name):
    parse_config_text(f'model = {timm(kind)}\ntest_pipeline = {PIPELINE}\n', 'best.pth')
    with pytest.raises(CheckpointConfigError) as caught:
        build(timm(kind, norm_layer=name))
    assert f'model.norm_layer={name!r}' in str(caught.value)
    assert 'best.pth' in str(caught.value)


@pytest.mark.reliability(
    'security', 'a config in a checkpoint that names a file of weights, or a hub'
)
@pytest.mark.parametrize('kind', ['TIMMBackbone', 'mmpretrain.TIMMBackbone'])
def test_weights_named_by_a_config_are_neither_opened_nor_fetched(marker, kind):
    with pytest.raises(CheckpointConfigError, match=r'model\.checkpoint_path='):
        build(timm(kind, features_only=False, checkpoint_path=marker))
    for prefix in ('hf-hub:', 'HF-HUB:', 'hf_hub:', 'Hf-Hub:'):
        config = {**timm(kind), 'model_name': f'{prefix}marker/marker'}
        with pytest.raises((CheckpointConfigError, RuntimeError)):
            build(config)


def reach(wish):
    """A component that asks for something and hides that it was refused."""

    def component():
        try:
            wish()
        except Exception:
            return 1

    return component


@pytest.mark.parametrize(
    ('wish', 'word'),
    [
        (lambda marker: open(marker).close(), 'to open'),
        (lambda marker: open(marker, 'w').close(), 'to write'),
        (lambda marker: pickle.loads(pickle.dumps(Noticed())), 'to unpickle'),
        (lambda marker: torch.load(marker, weights_only=False), 'to open'),
        (lambda marker: torch.jit.load(marker), 'to open'),
        (lambda marker: __import__(MODULE), 'to import'),
        (lambda marker: socket.create_connection(('marker.invalid', 1)), 'network'),
        (lambda marker: threading.Thread(target=print).start(), 'to start a thread'),
        (lambda marker: MODELS.get('os.path.join'), 'to import'),
        (lambda marker: torch.hub.load_state_dict_from_url(ADDRESS), 'to'),
    ],
)
def test_every_kind_of_access_is_refused_even_if_the_component_hides_it(
    marker, wish, word
):
    with (
        pytest.raises(CheckpointConfigError, match=f'asks .*{word}'),
        sealed(dict(model=dict(file=marker)), 'best.pth'),
    ):
        reach(lambda: wish(marker))()
    # Outside the context the file can be opened.
    with open(marker, 'rb'):
        pass


def test_entries_that_inference_does_not_need_are_removed(marker):
    loss = dict(type='CrossEntropyLoss', class_weight=marker)
    head = dict(type='FCNHead', in_channels=512, channels=8, num_classes=2)
    weights = dict(type='Pretrained', checkpoint=ADDRESS)
    model = dict(
        type='EncoderDecoder',
        pretrained=ADDRESS,
        train_cfg=dict(sampler=marker),
        init_cfg=weights,
        backbone=dict(
            type='TIMMBackbone',
            model_name='resnet10t',
            init_cfg=weights,
            out_indices=[4],
        ),
        decode_head=dict(
            head,
            loss_decode=[loss, loss],
            sampler=dict(type='OHEMPixelSampler'),
            init_cfg=weights,
        ),
    )
    text = f'model = {model}\ntest_pipeline = {PIPELINE}\n'
    config = parse_config_text(text, 'best.pth').model
    assert marker not in str(config)
    assert ADDRESS not in str(config)
    # mmseg's wrapper downloads weights by default.
    assert config.backbone.pretrained is False
    assert config.decode_head.to_dict() == head
    build(config)


def test_the_model_and_the_pipeline_of_a_checkpoint_are_sealed(
    marker, tiny_checkpoint, tmp_path
):
    content = read_checkpoint(tiny_checkpoint)
    path = tmp_path / 'odd.pth'
    text = content['meta']['cfg']
    head = "decode_head=dict(\n        act_cfg=dict(type='marker_module_of_this_test'),"
    content['meta']['cfg'] = text.replace('decode_head=dict(', head, 1)
    torch.save(content, path)
    with pytest.raises(CheckpointConfigError, match=r'odd\.pth.*act_cfg'):
        load_segmentor(path, device='cpu')
    config = parse_config_text(
        f"model = dict(type='EncoderDecoder')\ntest_pipeline = {PIPELINE}\n", 'odd.pth'
    )
    config.test_pipeline.insert(1, dict(type='Reaching', file=marker))

    class Reaching:
        def __init__(self, file):
            self.file = file

        def __call__(self, data):
            with open(self.file):
                return data

    TRANSFORMS.register_module(module=Reaching)
    try:
        pipeline = build_image_pipeline(config)
        with pytest.raises(CheckpointConfigError, match=r'test_pipeline\[1\]\.file='):
            pipeline(dict(img=torch.zeros(4, 4, 3).byte().numpy()))
    finally:
        TRANSFORMS.module_dict.pop('Reaching')


def test_a_sealed_pipeline_copies_its_config_once_and_not_for_each_image(monkeypatch):
    text = f"model = dict(type='EncoderDecoder')\ntest_pipeline = {PIPELINE}\n"
    config = parse_config_text(text, 'best.pth')
    copies, copy = [], type(config).to_dict
    monkeypatch.setattr(
        type(config), 'to_dict', lambda self: copies.append(1) or copy(self)
    )
    pipeline = build_image_pipeline(config)
    for _ in range(3):
        pipeline(dict(img=torch.zeros(4, 4, 3).byte().numpy()))
    assert len(copies) == 1


def components():
    """Every component that a checkpoint's config may name."""
    for registry in (MODELS, TRANSFORMS):
        registry.import_from_location()
        chain = registry
        while chain is not None:
            yield from sorted(chain.module_dict.items())
            chain = chain.parent


@pytest.mark.reliability(
    'security', 'every argument of every component, as a path, a name and an address'
)
def test_no_component_opens_imports_or_fetches_what_an_argument_names(marker):
    with sealed({}, 'x'):
        pass
    watching = [True]

    def watch(event, args):
        # Called after the guard: an event that arrives here was not refused.
        if not watching or threading.current_thread() is not threading.main_thread():
            return
        reaches = event in ('open', 'import', 'socket.getaddrinfo', 'socket.connect')
        if reaches and any('marker' in str(a) for a in args[:2]):
            noticed.append(f'{event} {args[:2]}')

    sys.addaudithook(watch)
    count = 0
    try:
        for _, component in components():
            try:
                parameters = inspect.signature(component).parameters.values()
            except (TypeError, ValueError):
                continue
            names = [p.name for p in parameters if p.kind not in (2, 4)]
            for value in (marker, f'{MODULE}.Norm', ADDRESS):
                for name in names:
                    required = {
                        p.name: 1
                        for p in parameters
                        if p.default is p.empty and p.kind not in (2, 4)
                    }
                    config = {**required, name: value}
                    count += 1
                    try:
                        with sealed(config, 'best.pth'), torch.device('meta'):
                            component(**config)
                    except Exception:
                        continue
    finally:
        watching.clear()
    assert count > 1000


def test_the_audit_hook_works_without_the_globals_of_its_module(monkeypatch):
    # An ending interpreter sets them to None before it removes audit hooks.
    for name in ('_SEAL', '_READS', '_FORBIDDEN'):
        monkeypatch.setattr(sealed_building, name, None)
    sealed_building._check_event('open', ('a file', 'r', 0))
