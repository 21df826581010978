"""Unexpected behaviour of libraries: docs/library_behaviour.md."""

import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.registry import TRANSFORMS
from mmseg.structures import SegDataSample
from PIL import Image
from torch.nn.functional import interpolate

from mcdrl_lab.data.converters.decodings import BinaryDecoding
from mcdrl_mmseg.datasets.transforms import cached_loading
from mcdrl_mmseg.evaluation import SiteLesionMetric
from mcdrl_mmseg.visualization import validation_picture

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'library_behaviour.md'


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith('| ')]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[1:]]


@pytest.mark.parametrize('row', rows(), ids=lambda row: row[0])
def test_every_row_names_existing_tests_and_scripts_or_gives_a_reason(row):
    assert len(row) == 5
    named = re.findall(r'`((?:tests|findings)/[^`]+)`', row[4])
    assert named or row[4].startswith('none: ')
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_finding_has_a_row():
    named = set(re.findall(r'`(findings/[^`]+\.sh)`', PAGE.read_text()))
    assert named == {f'findings/{p.name}' for p in (ROOT / 'findings').glob('*.sh')}


@pytest.mark.parametrize(
    'change', [np.asfortranarray, np.transpose, lambda a: a[:, ::-1], lambda a: a[::2]]
)
def test_arrays_of_any_memory_order_are_restored_from_the_cache(tmp_path, change):
    array = change(np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert not array.flags.c_contiguous or change is not np.asfortranarray
    path = tmp_path / 'a.safetensors'
    cached_loading._write(path, dict(img=array), {})
    np.testing.assert_array_equal(cached_loading._read(path)['img'], array)


# Old and new side: torch's nearest-exact, Pillow and OpenCV differ for these.
SIZES = [(100, 30), (30, 100), (211, 128), (288, 224), (5, 3), (3, 5)]


def by_torch(labels, size, mode):
    tensor = torch.from_numpy(labels)[None, None].float()
    return interpolate(tensor, size=size, mode=mode)[0, 0].numpy()


@pytest.mark.parametrize(('before', 'after'), SIZES)
def test_a_mask_is_resized_alike_for_training_and_pictures(before, after):
    init_default_scope('mmseg')
    labels = np.random.default_rng(0).integers(0, 256, (before, before), np.uint8)
    resize = TRANSFORMS.build(dict(type='Resize', scale=(after, after)))
    image = np.zeros((before, before, 3), np.uint8)
    results = dict(img=image, gt_seg_map=labels, seg_fields=['gt_seg_map'])
    trained = resize(results)['gt_seg_map']
    shown = validation_picture._resized(labels, (after, after))
    np.testing.assert_array_equal(trained, shown)


def test_other_libraries_resize_some_of_these_masks_differently():
    differ = {'nearest-exact': 0, 'pillow': 0}
    for before, after in SIZES:
        labels = np.arange(before * before, dtype=np.uint8).reshape(before, before)
        ours = validation_picture._resized(labels, (after, after))
        image = Image.fromarray(labels).resize((after, after), Image.Resampling.NEAREST)
        exact = by_torch(labels, (after, after), 'nearest-exact')
        differ['nearest-exact'] += not np.array_equal(ours, exact)
        differ['pillow'] += not np.array_equal(ours, np.asarray(image))
    assert min(differ.values()) > 0


def test_masks_are_scored_at_their_own_size():
    from mmengine.config import Config

    for path in sorted((ROOT / 'configs/_base_/datasets').glob('*.py')):
        pipeline = Config.fromfile(path).get('test_pipeline', [])
        types = [step['type'] for step in pipeline]
        if 'Resize' in types:
            loader = next(
                t for t in types if t in ('LoadLesionMask', 'LoadAnnotations')
            )
            assert types.index('Resize') < types.index(loader), path


def test_opencv_gets_no_boolean_array_when_outputs_are_written(tmp_path, monkeypatch):
    from mcdrl_mmseg.apis.outputs import plain_outputs
    from mcdrl_mmseg.visualization import overlay

    seen = []

    def watched(name):
        function = getattr(cv2, name)

        def call(*args, **kwargs):
            arrays = [*args, *kwargs.values()]
            seen.extend(a.dtype for a in arrays if isinstance(a, np.ndarray))
            return function(*args, **kwargs)

        return call

    for name in ('imencode', 'connectedComponents', 'findContours', 'resize'):
        monkeypatch.setattr(cv2, name, watched(name))
    region = np.zeros((6, 8), bool)
    region[2:4, 2:5] = True
    plain_outputs._contours(region)
    picture = np.zeros((6, 8, 3), np.uint8)
    overlay._draw_outline(picture, region, (255, 255, 255))
    validation_picture._resized(region, (12, 16))
    assert len(seen) >= 3
    assert np.dtype(bool) not in seen


def test_no_code_inverts_masks_with_opencv():
    for package in ('mcdrl_mmseg', 'mcdrl_lab', 'mcdrl_common'):
        for path in (ROOT / package).rglob('*.py'):
            assert 'bitwise_not' not in path.read_text(), path


def test_no_config_uses_the_focal_loss_of_mmseg():
    for path in (ROOT / 'configs').rglob('*.py'):
        assert 'FocalLoss' not in path.read_text(), path


def test_a_class_that_the_truth_lacks_changes_only_one_score_of_mmseg():
    """Ten pixels, five of a polyp; one of these is predicted as cyst."""
    truth = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1, 1, 1]])
    guess = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1, 1, 2]])
    sample = SegDataSample(metainfo=dict(img_path='/data/c1/images/a.jpg', site='c1'))
    sample.gt_sem_seg = PixelData(data=truth[None])
    sample.pred_sem_seg = PixelData(data=guess[None])
    logits = torch.nn.functional.one_hot(guess, 3).permute(2, 0, 1).float()
    sample.seg_logits = PixelData(data=10 * logits)
    classes = ('background', 'polyp', 'cyst')

    stock = IoUMetric(iou_metrics=['mDice', 'mFscore'])
    stock.dataset_meta = dict(classes=classes)
    stock.process(None, [sample.to_dict()])
    scores = stock.compute_metrics(stock.results)
    # Dice 1, 8/9 and 0; the F score of the cyst is not a number and is left out.
    assert scores['mDice'] == pytest.approx(100 * (1 + 8 / 9 + 0) / 3, abs=0.01)
    assert scores['mFscore'] == pytest.approx(100 * (1 + 8 / 9) / 2, abs=0.01)

    metric = SiteLesionMetric(surface=False)
    metric.dataset_meta = dict(classes=classes)
    metric.process(None, [sample.to_dict()])
    ours = metric.evaluate(1)
    # All lesion pixels are found, whatever their class.
    assert ours['mDice_fg'] == pytest.approx(1)


def deployment_block() -> str:
    text = (ROOT / 'docs/deployment.md').read_text()
    return re.search(r'```python\n(import cv2, json.*?)```', text, re.S)[1]


def test_argmax_of_onnxruntime_hides_a_nan_that_is_not_in_the_first_class():
    helper = pytest.importorskip('onnx').helper
    onnxruntime = pytest.importorskip('onnxruntime')
    float32, int64 = 1, 7
    graph = helper.make_graph(
        [helper.make_node('ArgMax', ['logits'], ['mask'], axis=1, keepdims=0)],
        'argmax',
        [helper.make_tensor_value_info('logits', float32, [1, 2, 2])],
        [helper.make_tensor_value_info('mask', int64, [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 9
    session = onnxruntime.InferenceSession(model.SerializeToString())
    # The lesion's logit is unknown in the first pixel and lower in the second.
    logits = np.array([[[0, 0], [np.nan, -1]]], np.float32)
    (mask,) = session.run(['mask'], {'logits': logits})
    assert mask.tolist() == [[0, 0]]


def root_model(path: Path, below: float) -> None:
    """Write an ONNX file like an export: roots of pixel minus ``below``, red channel.

    The lesion's logit is such a root, the background's is 1.
    """
    onnx = pytest.importorskip('onnx')
    helper, uint8, float32 = onnx.helper, 2, 1

    def constant(name, value):
        array = np.array(value, np.float32 if name == 'below' else np.int64)
        return onnx.numpy_helper.from_array(array, name)

    nodes = [
        helper.make_node('Gather', ['images', 'red'], ['channel'], axis=1),
        helper.make_node('Cast', ['channel'], ['float'], to=float32),
        helper.make_node('Sub', ['float', 'below'], ['difference']),
        helper.make_node('Sqrt', ['difference'], ['lesion']),
        helper.make_node('Sub', ['float', 'float'], ['zero']),
        helper.make_node('Exp', ['zero'], ['background']),
        helper.make_node('Concat', ['background', 'lesion'], ['logits'], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        'roots',
        [helper.make_tensor_value_info('images', uint8, [1, 3, 4, 6])],
        [helper.make_tensor_value_info('logits', float32, [1, 2, 4, 6])],
        [constant('red', [0]), constant('below', below)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 9
    helper.set_model_props(
        model,
        {
            'mcdrl.width': '6',
            'mcdrl.height': '4',
            'mcdrl.classes': '["background", "lesion"]',
        },
    )
    onnx.save(model, path)


def test_the_program_of_the_deployment_page_stops_at_logits_that_are_nan(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    picture = np.full((4, 6, 3), 100, np.uint8)
    picture[1, 2:4] = 20
    cv2.imwrite('image.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 100])
    # Roots of at least 5 and about 9 everywhere: all lesion.
    root_model(tmp_path / 'best.onnx', below=0)
    found = {}
    exec(deployment_block(), found)
    assert found['mask'].tolist() == [[1] * 6] * 4
    # Two pixels are darker than that and have no real root.
    root_model(tmp_path / 'best.onnx', below=60)
    with pytest.raises(FloatingPointError, match='2 of 48 logits'):
        exec(deployment_block(), {})


def test_a_jpeg_of_a_mask_of_zeros_and_ones_loses_the_lesion():
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 12:40] = 1
    kept = {}
    for quality in (50, 75, 95):
        file = io.BytesIO()
        Image.fromarray(mask).save(file, 'jpeg', quality=quality)
        kept[quality] = set(np.unique(np.asarray(Image.open(file))).tolist())
    assert kept[50] == {0}
    # Nothing reaches 128: the converter, verify and the start of a training report
    # a site whose JPEG masks are all like this.
    assert BinaryDecoding().decode(Image.open(file)).labels.sum() == 0
