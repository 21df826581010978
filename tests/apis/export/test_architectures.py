"""Exports of a backbone beside a CLIP tower and of other forms of the model."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mcdrl_mmseg.apis.export import formats
from mcdrl_mmseg.apis.export.deployable import DeployableSegmentor, ExportError
from mcdrl_mmseg.apis.export.exporting import export_model
from mcdrl_mmseg.apis.export.formats import ENDINGS, FORMATS, size_multiple
from mcdrl_mmseg.apis.export.runtime import open_exported
from mcdrl_mmseg.clip.lora import LowRank

# Options that make the models of the configs small: two of four stages, the last still
# with a stride of 32.
_GUIDED = {
    'mcdrl_mit-b0_segformer': (
        dict(
            embed_dims=8,
            num_stages=2,
            num_layers=[1, 1],
            num_heads=[1, 1],
            patch_sizes=[9, 5],
            strides=[8, 4],
            sr_ratios=[4, 1],
            out_indices=(0, 1),
        ),
        [8, 8],
    ),
    # Two blocks: the second shifts its windows.
    'mcdrl_swin-t_upernet': (
        dict(
            embed_dims=8,
            patch_size=16,
            depths=[2, 1],
            num_heads=[1, 1],
            strides=(16, 2),
            out_indices=(0, 1),
            window_size=2,
        ),
        [8, 16],
    ),
}


_SMALL_HEAD = dict(
    channels=16, num_classes=2, norm_cfg=dict(type='BN'), align_corners=False
)


@pytest.fixture(scope='module')
def guided(repo_root, draw_head):
    """Makes the model of a config with a small backbone and a small ViT as guide.

    The guide's patches of 8 pixels are four times as fine as the map that is
    intervened on: similarity is resized.
    """

    def make(name: str) -> torch.nn.Module:
        backbone, widths = _GUIDED[name]
        init_default_scope('mmseg')
        file = f'{name}_50e_endoscopy-sites-224x224.py'
        cfg = Config.fromfile(repo_root / 'configs/mcdrl' / file)
        cfg.model.auxiliary_head = None
        cfg.model.backbone.backbone.update(backbone)
        cfg.model.backbone.clip.update(model_name='mcdrl-tiny-vit', pretrained=None)
        head = cfg.model.decode_head
        intervention = dict(type='CausalIntervention', num_layers=1)
        head.update(in_channels=widths[-1], in_index=1, intervention=intervention)
        head.predictor.update(in_channels=widths, in_index=[0, 1], channels=16)
        head.dictionary.embed_dims = 128
        with torch.random.fork_rng():
            torch.manual_seed(3)
            model = MODELS.build(cfg.model)
            draw_head(model.decode_head)
        blocks = model.backbone.guide.tower.transformer
        blocks.resblocks = blocks.resblocks[:2]
        model.dataset_meta = dict(classes=('background', 'lesion'))
        return model.eval()

    return make


@pytest.fixture(scope='module')
def new_pooling(new_model):
    """Makes a CLIP tower with UPerHead for a predictor."""

    def make(scales: tuple[int, ...]) -> torch.nn.Module:
        predictor = dict(
            _delete_=True,
            type='UPerHead',
            in_channels=[64, 128, 256, 128],
            in_index=[0, 1, 2, 3],
            pool_scales=scales,
            **_SMALL_HEAD,
        )
        return new_model('rn', predictor=predictor)

    return make


@pytest.fixture(scope='module')
def pooling(new_pooling):
    return new_pooling((1, 2, 3, 6))


@pytest.fixture
def export(tmp_path, monkeypatch):
    """Exports the one model of a test: ``export(model, 'onnx', (64, 64))``.

    Returns the path. The model is traced once per size for all formats, which begin
    with the same trace.
    """
    traced, models = {}, set()
    trace = formats.export_program

    def traced_once(module, *size, batch=None):
        case = (*size, batch)
        if case not in traced:
            traced[case] = trace(module, *case)
        return traced[case]

    def write(model, file_format, size, dynamic=False):
        models.add(model)
        assert len(models) == 1
        path = tmp_path / f'model{ENDINGS[file_format]}'
        export_model(model, path, file_format, size, dynamic=dynamic)
        return path

    monkeypatch.setattr(formats, 'export_program', traced_once)
    return write


def assert_agrees(model, path, pixels):
    with torch.no_grad():
        expected = DeployableSegmentor(model)(torch.from_numpy(pixels)).numpy()
    found = open_exported(path).run(pixels)
    assert found.shape == expected.shape == (len(pixels), 2, *pixels.shape[2:])
    assert expected.std() > 0.01
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize(
    ('name', 'written'),
    [
        ('mcdrl_mit-b0_segformer', ['torchscript']),
        ('mcdrl_swin-t_upernet', ['onnx', 'torch-export']),
    ],
)
def test_a_backbone_beside_a_clip_tower_is_exported_with_the_tower(
    guided, new_pixels, export, name, written
):
    model = guided(name)
    for file_format in written:
        path = export(model, file_format, (64, 96))
        # A batch size that neither the trace nor the comparison at export used.
        assert_agrees(model, path, new_pixels(3, 64, 96))


def test_an_exported_backbone_beside_a_clip_tower_takes_other_sizes(
    guided, new_pixels, tmp_path
):
    model = guided('mcdrl_mit-b0_segformer')
    assert size_multiple(model) == 32
    path = tmp_path / 'model.onnx'
    export_model(model, path, 'onnx', (64, 64), dynamic=True)
    for shape in ((1, 64, 64), (2, 96, 160)):
        assert_agrees(model, path, new_pixels(*shape))


@pytest.mark.parametrize('file_format', ['onnx', 'torchscript'])
def test_a_predictor_that_pools_to_a_grid_is_exported_at_a_fixed_size(
    pooling, new_pixels, tmp_path, file_format
):
    """Grids of 3 x 3 and 6 x 6 pool a map of 2 x 3: bins overlap."""
    path = tmp_path / f'model{ENDINGS[file_format]}'
    export_model(pooling, path, file_format, (64, 96))
    assert_agrees(pooling, path, new_pixels(2, 64, 96))


@pytest.mark.reliability('bad input', 'export --dynamic of pooling to a grid')
@pytest.mark.parametrize('scales', [(1, 2, 3, 6), (1, 6)])
def test_a_predictor_that_pools_to_a_grid_is_refused_at_a_variable_size(
    new_pooling, tmp_path, scales
):
    """A file with (1, 6) would pass its comparison and be wrong at 96 x 128."""
    message = r'psp_modules\.\d\.\d pools to a grid of \d x \d, .*Leave out --dynamic'
    with pytest.raises(ExportError, match=message):
        model = new_pooling(scales)
        export_model(model, tmp_path / 'm.onnx', 'onnx', (64, 64), dynamic=True)
    assert list(tmp_path.iterdir()) == []


def test_a_predictor_that_pools_to_one_value_takes_any_size(
    new_pooling, new_pixels, export
):
    model = new_pooling((1,))
    for file_format in ('onnx', 'torch-export'):
        path = export(model, file_format, (64, 64), dynamic=True)
        assert_agrees(model, path, new_pixels(1, 96, 160))


def test_torch_export_supports_pooling_to_a_grid_at_any_size(
    new_model, new_pixels, export
):
    """The predictor is PSPHead, which pools as UPerHead does."""
    predictor = dict(
        _delete_=True,
        type='PSPHead',
        in_channels=128,
        pool_scales=(1, 6),
        **_SMALL_HEAD,
    )
    model = new_model('vit', predictor=predictor)
    path = export(model, 'torch-export', (64, 64), dynamic=True)
    for shape in ((1, 64, 64), (2, 96, 160)):
        assert_agrees(model, path, new_pixels(*shape))


def test_a_file_of_variable_size_takes_the_size_of_the_towers_position_grid(
    new_model, new_pixels, export
):
    """The ResNet has a grid of 4 x 4 positions, as an image of 128 x 128 pixels."""
    model = new_model('rn')
    path = export(model, 'torch-export', (64, 64), dynamic=True)
    for shape in ((1, 128, 128), (2, 128, 160), (1, 96, 128)):
        assert_agrees(model, path, new_pixels(*shape))


def test_a_model_that_shows_the_tower_images_at_half_size_is_exported(
    new_model, new_pixels, export
):
    model = new_model('vit', backbone=dict(input_scale=0.5))
    for file_format in ('onnx', 'torch-export'):
        path = export(model, file_format, (64, 64), dynamic=True)
        for shape in ((1, 64, 64), (3, 96, 128)):
            assert_agrees(model, path, new_pixels(*shape))
    path = export(model, 'torchscript', (64, 64))
    assert_agrees(model, path, new_pixels(3, 64, 64))


def test_low_rank_changes_of_the_tower_are_in_the_exported_weights(
    new_model, new_pixels, export
):
    model = new_model('vit', backbone=dict(lora=dict(rank=2)))
    changes = [part for part in model.modules() if isinstance(part, LowRank)]
    for change in changes:
        torch.nn.init.normal_(change.up, std=0.1)
    paths = [export(model, file_format, (64, 64)) for file_format in FORMATS]
    pixels = new_pixels(3, 64, 64)
    for path in paths:
        assert_agrees(model, path, pixels)
    # The model itself is unchanged, and the files depend on the changes.
    assert any(isinstance(part, LowRank) for part in model.modules())
    for change in changes:
        torch.nn.init.zeros_(change.up)
    for path in paths:
        with pytest.raises(AssertionError):
            assert_agrees(model, path, pixels)


def test_a_model_with_a_similarity_map_is_exported(new_model, new_pixels, export):
    predictor = dict(
        in_channels=[128, 1], in_index=[-2, -1], input_transform='resize_concat'
    )
    model = new_model('vit', predictor=predictor, similarity_map=True)
    paths = [export(model, file_format, (64, 64)) for file_format in FORMATS]
    pixels = new_pixels(3, 64, 64)
    for path in paths:
        assert_agrees(model, path, pixels)
    # The files depend on the background prompts.
    model.decode_head.dictionary.background_embeddings.neg_()
    for path in paths:
        with pytest.raises(AssertionError):
            assert_agrees(model, path, pixels)
