import pytest
from mmengine.config import Config
from mmseg.registry import TRANSFORMS

from mcdrl_mmseg.apis import CheckpointConfigError
from mcdrl_mmseg.apis.checkpoint_config import parse_config_text, parse_test_dataset
from mcdrl_mmseg.apis.inference_config import without_training

MODEL = "model = dict(type='EncoderDecoder', backbone=dict(type='ResNet', depth=50))\n"
PIPELINE = (
    "test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]\n"
)


def parse(text: str) -> Config:
    return parse_config_text(text, 'best.pth')


def test_the_text_of_a_real_config_gives_its_model_and_pipeline(tiny_config):
    cfg = Config.fromfile(tiny_config)
    parsed = parse(cfg.pretty_text)
    assert parsed.model == without_training(cfg.model)
    assert parsed.model.backbone == cfg.model.backbone
    expected = cfg.test_dataloader.dataset.pipeline
    assert [dict(t) for t in parsed.test_pipeline] == [dict(t) for t in expected]
    assert parsed.default_scope == 'mmseg'


@pytest.mark.parametrize(
    'config',
    [
        'mcdrl/mcdrl_convnext-t_upernet_50e_endoscopy-sites-224x224',
        'mcdrl/mcdrl_unet-s5-d16_fcn_50e_retinal-vessels-512x512',
        'baselines/coop_clip-rn50_fcn_50e_endoscopy-sites-224x224',
    ],
)
def test_all_components_of_shipped_configs_are_accepted(repo_root, config):
    cfg = Config.fromfile(repo_root / 'configs' / f'{config}.py')
    assert parse(cfg.pretty_text).model == without_training(cfg.model)


def test_a_loss_that_is_none_in_the_config_stays_none():
    """By default the head has the loss, with a projection that the checkpoint lacks."""
    head = dict(
        type='CausalInterventionHead',
        loss_causal=None,
        loss_contrast=dict(type='CLIPContrastiveLoss'),
    )
    assert without_training(head) == dict(
        type='CausalInterventionHead', loss_causal=None
    )


def test_keys_that_are_not_identifiers_are_read():
    text = MODEL.replace('depth=50', "depth=50, norm_cfg={'a-b': dict(c=-1.5e-3)}")
    assert parse(text + PIPELINE).model.backbone.norm_cfg == {'a-b': {'c': -0.0015}}


@pytest.mark.reliability('security', 'a config in a checkpoint that is a program')
@pytest.mark.parametrize(
    'line',
    [
        'import os\n',
        "__import__('os').system('touch PLACE')\n",
        "with open('PLACE', 'w'):\n    pass\n",
        'for n in range(3):\n    pass\n',
        'a = b = 1\n',
        'a.b = 1\n',
    ],
)
def test_a_config_that_is_a_program_is_refused_and_not_run(tmp_path, line):
    place = tmp_path / 'ran'
    with pytest.raises(
        CheckpointConfigError, match=r'best\.pth: line 1 .* a statement'
    ):
        parse(line.replace('PLACE', str(place)) + MODEL + PIPELINE)
    assert not place.exists()


@pytest.mark.parametrize(
    'value',
    [
        "__import__('os').system('touch PLACE')",
        "open('PLACE', 'w')",
        "[dict(type=open('PLACE', 'w'))]",
        "dict(**open('PLACE', 'w'))",
        "dict(open('PLACE', 'w'))",
        "(lambda: open('PLACE', 'w'))()",
        'f\'{open("PLACE", "w")}\'',
    ],
)
def test_a_call_in_a_value_is_refused_and_not_run(tmp_path, value):
    place = tmp_path / 'ran'
    with pytest.raises(CheckpointConfigError, match='model in its config holds'):
        parse(f'model = {value}\n'.replace('PLACE', str(place)))
    assert not place.exists()


def test_entries_that_inference_does_not_need_are_not_checked():
    parse(MODEL + PIPELINE + 'optimizer = float("inf")\ndtype = torch.float16\n')


@pytest.mark.reliability(
    'security', 'a config in a checkpoint that names a function in place of a component'
)
@pytest.mark.parametrize(
    'name',
    [
        'os.system',
        'subprocess.Popen',
        'mmengine.load',
        'mmseg.os.system',
        'antigravity',
    ],
)
def test_a_type_that_is_in_no_registry_is_refused(name):
    with pytest.raises(CheckpointConfigError, match=f"model.backbone.type='{name}'"):
        parse(MODEL.replace('ResNet', name) + PIPELINE)
    with pytest.raises(CheckpointConfigError, match=r'test_pipeline\[1\]\.type'):
        parse(MODEL + PIPELINE.replace('PackSegInputs', name))


def test_a_component_of_another_registry_is_refused():
    # A transform cannot be part of a model.
    with pytest.raises(CheckpointConfigError, match='LoadImageFromFile'):
        parse(MODEL.replace('ResNet', 'LoadImageFromFile') + PIPELINE)


@pytest.mark.parametrize('scope', ["'os'", "['mmseg']"])
def test_an_unknown_scope_is_refused(scope):
    with pytest.raises(CheckpointConfigError, match='_scope_'):
        parse(MODEL.replace('depth=50', f'_scope_={scope}') + PIPELINE)
    with pytest.raises(CheckpointConfigError, match='default_scope'):
        parse(MODEL + PIPELINE + f'default_scope = {scope}\n')


def test_a_component_of_mmpretrain_is_found_by_its_scope():
    parse(MODEL.replace('ResNet', 'mmpretrain.ConvNeXt') + PIPELINE)
    with pytest.raises(CheckpointConfigError, match=r'mmpretrain\.NoSuchNet'):
        parse(MODEL.replace('ResNet', 'mmpretrain.NoSuchNet') + PIPELINE)


@pytest.mark.reliability(
    'security', 'a config in a checkpoint whose component evaluates its arguments'
)
def test_components_that_execute_their_arguments_are_refused(tmp_path):
    place = tmp_path / 'ran'
    transform = dict(
        type='mmpretrain.torchvision/ConvertImageDtype',
        dtype=f"float32 if open({str(place)!r}, 'w') else 0",
    )
    # Built directly, the text is executed: MMPretrain evaluates the dtype.
    with TRANSFORMS.switch_scope_and_registry('mmpretrain') as transforms:
        transforms.build({**transform, 'type': 'torchvision/ConvertImageDtype'})
    assert place.exists()
    place.unlink()
    with pytest.raises(CheckpointConfigError, match=r'test_pipeline\[0\]\.type'):
        parse(MODEL + f'test_pipeline = [{transform}]\n')
    with pytest.raises(CheckpointConfigError, match='HuggingFaceClassifier'):
        parse(MODEL.replace('ResNet', 'mmpretrain.HuggingFaceClassifier') + PIPELINE)
    assert not place.exists()


def test_custom_imports_of_other_packages_are_refused():
    line = "custom_imports = dict(imports=['{}'], allow_failed_imports=False)\n"
    parse(MODEL + PIPELINE + line.format('mcdrl_mmseg'))
    for name in ('evil', 'mcdrl_mmseg_evil'):
        with pytest.raises(CheckpointConfigError, match=f"imports '{name}'"):
            parse(MODEL + PIPELINE + line.format(name))


def test_timm_weights_are_not_downloaded_and_the_name_of_clip_weights_is_kept():
    net = "backbone=dict(type='TIMMBackbone', model_name='resnet10t'"
    for more in ('', ', pretrained=True', ', pretrained=False'):
        text = MODEL.replace("backbone=dict(type='ResNet', depth=50", net + more)
        assert parse(text + PIPELINE).model.backbone.pretrained is False
    # The name also sets the activation; towers load no weights when they are built.
    tower = "type='CLIPVisionBackbone', pretrained='openai'"
    text = MODEL.replace("type='ResNet', depth=50", tower)
    assert parse(text + PIPELINE).model.backbone.pretrained == 'openai'


@pytest.mark.parametrize('text', ['', PIPELINE, 'model = 3\n', 'model = dict(\n', '\0'])
def test_error_for_a_text_without_a_model_names_the_file_and_the_remedy(text):
    with pytest.raises(CheckpointConfigError, match=r'best\.pth: .*--config'):
        parse(text)


@pytest.mark.reliability(
    'bad input', 'a config in a checkpoint with entries of another type'
)
@pytest.mark.parametrize(
    ('text', 'named'),
    [
        ('custom_imports = 5\n', 'custom_imports=5'),
        ('custom_imports = dict(imports=5)\n', 'custom_imports'),
        ("custom_imports = dict(imports=[['mcdrl_mmseg']])\n", 'custom_imports'),
        ('test_dataloader = [1]\n', r'test_dataloader=\[1\]'),
        ('test_dataloader = dict(dataset=[1])\n', r'test_dataloader\.dataset=\[1\]'),
        (
            'test_dataloader = dict(dataset=dict(pipeline=5))\n',
            r'test_dataloader\.dataset\.pipeline=5',
        ),
        ('test_pipeline = 5\n', 'test_pipeline=5'),
        ('test_pipeline = [5]\n', r'test_pipeline\[0\]=5'),
        ('test_pipeline = [dict(keys=1)]\n', r'test_pipeline\[0\].*type'),
        ("test_pipeline = [{'type': 'Resize', 3: 4}]\n", r'test_pipeline.*3'),
        ("model = {'type': 'EncoderDecoder', None: 2}\n", 'model.*None'),
        (
            "model = {'type': 'EncoderDecoder', b'type': 'os.system'}\n",
            "model.*b'type'",
        ),
        ("model = {'type': 'X', 'a': [{'type': 'Y', (1,): 3}]}\n", r'model.*\(1,\)'),
        ("model = {'type': 'X', 'a': {'b'}}\n", r"model.*\{'b'\}"),
    ],
)
def test_config_entries_of_another_type_are_named_in_the_error(text, named):
    with pytest.raises(CheckpointConfigError, match=rf'best\.pth: .*{named}'):
        parse(MODEL + text)


@pytest.mark.reliability('security', 'a config in a checkpoint of millions of entries')
def test_a_config_text_above_the_length_limit_is_refused():
    text = "model = dict(type='EncoderDecoder')\nx = [" + '[],' * 400_000 + ']'
    with pytest.raises(CheckpointConfigError, match='characters; the limit is 1048576'):
        parse(text)


def test_a_test_dataset_of_another_type_is_named_in_the_error():
    for text in ('test_dataloader = [1]\n', 'test_dataloader = dict(dataset=5)\n'):
        with pytest.raises(CheckpointConfigError, match=r'run/config\.py: .*test_data'):
            parse_test_dataset(text, 'run/config.py')


def test_keys_of_a_dict_that_is_not_a_component_may_be_numbers():
    parse(MODEL.replace('depth=50', 'depth=50, norm_cfg={1: 2}') + PIPELINE)
