"""--amp, slide inference, --tta, plain logits, and mmseg's own tools/train.py."""

import math
import sys
from pathlib import Path

import cv2
import mmseg
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mcdrl_mmseg.apis.checkpoint import load_segmentor

_TINY = 'configs/mcdrl/mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py'
_SMALL = [
    'train_dataloader.dataset.max_images=2',
    'train_dataloader.batch_size=2',
    'val_dataloader.dataset.max_images=1',
    'test_dataloader.dataset.max_images=3',
    'default_hooks.logger.interval=1',
    'train_cfg.max_epochs=1',
    *(
        f'{part}_dataloader.{key}'
        for part in ('train', 'val', 'test')
        for key in ('num_workers=0', 'persistent_workers=False')
    ),
]


@pytest.fixture(scope='module')
def bench(new_bench, drawn_sites):
    bench = new_bench('options', drawn_sites)
    bench.options = _SMALL
    return bench


@pytest.fixture(scope='module')
def half_precision(bench):
    """tools/train.py --amp, with the intervention on."""
    config = bench.config(
        'half_precision',
        'custom_hooks = [',
        "    dict(type='ConfounderDictionaryHook'),",
        "    dict(type='InterventionWarmupHook', begin=0),",
        "    dict(type='ProbeHook', dtypes_of='decode_head.predictor.conv_seg'),",
        ']',
    )
    return config, bench.tool(
        'half_precision', 'train.py', config, '--amp', fresh=False
    )


def test_amp_trains_in_bfloat16_with_finite_losses(half_precision):
    _, run = half_precision
    steps = [line for line in run.scalars() if 'loss' in line]
    assert len(steps) == 5
    for line in steps:
        values = [value for name, value in line.items() if 'loss' in name]
        assert len(values) >= 4
        assert all(math.isfinite(value) for value in values)
        assert line['gate'] == 1
    dtypes = (run.probe_dir / 'dtypes').read_text().split()
    assert dtypes[: len(steps)] == ['torch.bfloat16'] * len(steps)


def test_amp_keeps_weights_in_single_precision_and_moves_them(half_precision):
    _, run = half_precision
    state = run.checkpoint('epoch_1.pth')['state_dict']
    start = torch.load(run.probe_dir / 'initial_rank0.pt')
    weights = {key: value for key, value in state.items() if value.is_floating_point()}
    assert {value.dtype for value in weights.values()} == {torch.float32}
    assert all(bool(value.isfinite().all()) for value in weights.values())
    key = 'decode_head.intervention.layers.2.value.weight'
    assert not torch.equal(state[key], start[key])


def test_slide_inference_works_with_the_test_tool(bench, half_precision):
    config, run = half_precision
    slid = bench.tool(
        'slid',
        'test.py',
        config,
        run.work_dir / 'epoch_1.pth',
        options=[
            'model.test_cfg.mode=slide',
            'model.test_cfg.crop_size=(96,96)',
            'model.test_cfg.stride=(64,64)',
            'test_evaluator.surface=False',
        ],
        fresh=False,
    )
    metrics = slid.test_metrics()
    assert metrics['images'] == 3
    assert math.isfinite(metrics['mDice_fg'])


@pytest.mark.reliability('silent', 'test-time augmentation')
def test_tta_is_the_mean_over_the_image_and_its_flips(bench, half_precision, repo_root):
    """The label maps of --tta equal those computed here with the segmentor alone."""
    config, run = half_precision
    weights = run.work_dir / 'epoch_1.pth'
    options = ['test_evaluator.surface=False']
    arguments = ('test.py', config, weights, '--tta', '--out', 'turned')
    tested = bench.tool('tta', *arguments, options=options, fresh=False)
    assert tested.test_metrics()['images'] == 3
    # The scores in the samples are those of the label map.
    assert 'does not match seg_logits' not in tested.output
    model = load_segmentor(weights, repo_root / _TINY, 'cpu')
    paths = sorted((bench.folder / 'turned').glob('*.png'))
    assert len(paths) == 3
    for path in paths:
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        (image,) = bench.sites_root.glob(f'*/images/{path.stem}.jpg')
        assert np.array_equal(found, _mean_of_flips(model, cv2.imread(str(image))))


def _mean_of_flips(model, image):
    small = cv2.resize(image, (128, 128), interpolation=cv2.INTER_LINEAR)
    total = 0
    for axes in ((), (1,), (0,)):
        view = torch.from_numpy(np.flip(small, axes).transpose(2, 0, 1).copy())
        data = model.data_preprocessor(dict(inputs=[view], data_samples=None))
        with torch.no_grad():
            logits = model.encode_decode(data['inputs'], [dict(img_shape=(128, 128))])
        turned = logits.flip([2 + axis for axis in axes])
        native = F.interpolate(turned, image.shape[:2], mode='bilinear')
        total = total + native.softmax(1)
    return total.argmax(1)[0].numpy()


def test_mmsegs_own_train_tool_runs_our_config_unchanged(bench, repo_root):
    tool = Path(mmseg.__file__).parent / '.mim' / 'tools' / 'train.py'
    if not tool.is_file():
        pytest.skip(f'this install of mmseg has no tools: {tool}')
    work_dir = bench.folder / 'stock'
    run = bench.start(
        'stock',
        sys.executable,
        tool,
        repo_root / _TINY,
        '--work-dir',
        work_dir,
        '--cfg-options',
        # One epoch is over before the intervention of the config begins.
        'custom_hooks.1.begin=0',
        *bench.options,
    )
    assert (work_dir / 'epoch_1.pth').is_file()
    assert list(work_dir.glob('best_mDice_fg_*.pth'))
    assert 'Confounder dictionary built' in run.output


@pytest.fixture(scope='module')
def model(repo_root):
    """The small model with a filled dictionary, for predictions."""
    config = Config.fromfile(repo_root / _TINY)
    init_default_scope('mmseg')
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS.build(config.model)
        dictionary = model.decode_head.dictionary
        texts = torch.randn(len(dictionary.texts), dictionary.embed_dims)
    dictionary.fill(torch.nn.functional.normalize(texts, dim=1), '0' * 64)
    return model.eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))


def _samples(images):
    shape = tuple(images.shape[2:])
    metainfo = dict(ori_shape=shape, img_shape=shape, pad_shape=shape)
    return [SegDataSample(metainfo=dict(metainfo)) for _ in images]


@torch.no_grad()
def test_tensor_mode_returns_the_logits_before_they_are_resized(model, images):
    logits = model(images, mode='tensor')
    assert isinstance(logits, torch.Tensor)
    assert logits.shape == (2, 2, 32, 32)
    # They are what predict resizes to the image, and not yet probabilities.
    predicted = model(images, _samples(images), mode='predict')
    resized = torch.nn.functional.interpolate(
        logits, size=(128, 128), mode='bilinear', align_corners=False
    )
    for index, sample in enumerate(predicted):
        torch.testing.assert_close(sample.seg_logits.data, resized[index])


@torch.no_grad()
def test_slide_inference_equals_whole_inference_where_one_crop_holds_the_image(
    model, images, monkeypatch
):
    whole = model(images, _samples(images), mode='predict')
    slide = Config(dict(mode='slide', crop_size=(128, 128), stride=(64, 64)))
    monkeypatch.setattr(model, 'test_cfg', slide)
    slid = model(images, _samples(images), mode='predict')
    for one, other in zip(whole, slid):
        assert torch.equal(one.seg_logits.data, other.seg_logits.data)


@torch.no_grad()
def test_slide_inference_averages_the_logits_of_the_crops(model, images, monkeypatch):
    slide = Config(dict(mode='slide', crop_size=(96, 96), stride=(32, 32)))
    monkeypatch.setattr(model, 'test_cfg', slide)
    slid = model(images, _samples(images), mode='predict')
    total = torch.zeros(2, 2, 128, 128)
    count = torch.zeros(128, 128)
    for top in (0, 32):
        for left in (0, 32):
            crop = images[:, :, top : top + 96, left : left + 96]
            logits = torch.nn.functional.interpolate(
                model(crop, mode='tensor'),
                size=(96, 96),
                mode='bilinear',
                align_corners=False,
            )
            total[:, :, top : top + 96, left : left + 96] += logits
            count[top : top + 96, left : left + 96] += 1
    for index, sample in enumerate(slid):
        torch.testing.assert_close(sample.seg_logits.data, total[index] / count)
