import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mcdrl_mmseg.apis.inferencer import Prediction
from mcdrl_mmseg.apis.inputs import InputFile, Kind
from mcdrl_mmseg.apis.outputs.conformal_output import (
    ConformalMaskOutput,
    ConformalOutput,
)
from mcdrl_mmseg.apis.outputs.output_base import Frame
from mcdrl_mmseg.apis.outputs.overlay_output import OverlayOutput
from mcdrl_mmseg.apis.outputs.plain_outputs import (
    CocoOutput,
    ContourOutput,
    MaskOutput,
    ProbabilityOutput,
    regions,
)

CLASSES = ('background', 'lesion')
IMAGE = InputFile(Path('in/a.png'), Kind.IMAGE, 'sub/a')
VIDEO = InputFile(Path('in/c.avi'), Kind.VIDEO, 'c')


@pytest.fixture
def prediction() -> Prediction:
    """A ring of 8 pixels with one more at a corner; one of class 2 at another."""
    labels = np.zeros((6, 8), np.uint8)
    labels[1:4, 1:4] = 1
    labels[2, 2] = 0
    labels[4, 0] = 1
    labels[4, 4] = 2
    probability = np.where(labels > 0, 0.75, 0.25).astype(np.float32)
    probability[1, 1] = 0.95
    return Prediction(labels, probability)


def frame(file=IMAGE, number=None) -> Frame:
    return Frame(file, number, np.full((6, 8, 3), (0, 100, 200), np.uint8))


def read(path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_masks_of_one_lesion_class_are_black_and_white(tmp_path, prediction):
    MaskOutput(tmp_path, CLASSES).add(frame(), prediction)
    expected = np.where(prediction.labels > 0, 255, 0)
    np.testing.assert_array_equal(read(tmp_path / 'masks/sub/a.png'), expected)


def test_masks_of_several_classes_hold_class_numbers(tmp_path, prediction):
    MaskOutput(tmp_path, (*CLASSES, 'cyst')).add(frame(), prediction)
    np.testing.assert_array_equal(read(tmp_path / 'masks/sub/a.png'), prediction.labels)


def test_probabilities_are_stored_with_16_bits(tmp_path, prediction):
    ProbabilityOutput(tmp_path, CLASSES).add(frame(), prediction)
    stored = read(tmp_path / 'probabilities/sub/a.png')
    assert stored.dtype == np.uint16
    np.testing.assert_allclose(
        stored / 65535, prediction.lesion_probability, atol=0.5 / 65535 + 1e-7
    )


def test_conformal_masks_use_the_uncalibrated_probability_of_the_network(tmp_path):
    own = np.array([[0.1, 0.3, 0.29, 0.9]], np.float32)
    calibrated = np.array([[0.3, 0.4, 0.4, 0.6]], np.float32)
    labels = (own > 0.5).astype(np.uint8)
    promise = dict(threshold=0.3, level=0.2, risk='area')
    picture = ConformalMaskOutput(tmp_path, CLASSES, 0.3)
    document = ConformalOutput(tmp_path, CLASSES, promise)
    for output in (picture, document):
        output.add(frame(), Prediction(labels, calibrated, own))
        output.finish()
    # 0.3 reaches the threshold of 0.3, also in the precision of probabilities.
    np.testing.assert_array_equal(
        read(tmp_path / 'conformal/sub/a.png'), [[0, 255, 0, 255]]
    )
    written = json.loads((tmp_path / 'conformal.json').read_text())
    assert written['conformal'] == promise
    (image,) = written['images']
    np.testing.assert_array_equal(coco_mask.decode(image['mask']), [[0, 1, 0, 1]])
    assert (image['area'], image['highest_probability']) == (2, 0.6)
    assert image['calibrated'] is True


def test_conformal_mask_without_calibration_uses_the_only_probability(tmp_path):
    p = np.array([[0.1, 0.3]], np.float32)
    output = ConformalOutput(tmp_path, CLASSES, dict(threshold=0.2, level=0.5))
    output.add(frame(), Prediction((p > 0.5).astype(np.uint8), p))
    assert output.images[0]['area'] == 1
    assert output.images[0]['calibrated'] is False


def test_an_overlay_leaves_the_background_unchanged(tmp_path):
    labels = np.zeros((60, 80), np.uint8)
    labels[20:40, 20:40] = 1
    picture = np.full((60, 80, 3), (0, 100, 200), np.uint8)
    shown = Prediction(labels, labels.astype(np.float32))
    OverlayOutput(tmp_path, CLASSES).add(Frame(IMAGE, None, picture), shown)
    stored = read(tmp_path / 'overlays/sub/a.png')
    np.testing.assert_array_equal(stored[:, 50:], picture[:, 50:])
    assert (stored[30, 30] != picture[30, 30]).any()


def test_frames_of_a_video_are_written_to_a_folder_with_its_name(tmp_path, prediction):
    output = MaskOutput(tmp_path, CLASSES)
    output.add(frame(VIDEO, 7), prediction)
    assert (tmp_path / 'masks/c.avi/000007.png').is_file()
    assert tmp_path / 'masks/c.avi' in output.targets(VIDEO)
    assert output.targets(IMAGE) == [tmp_path / 'masks/sub/a.png']


def test_overlays_of_a_video_are_a_video_with_the_same_frame_rate(tmp_path):
    source = tmp_path / 'c.avi'
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter_fourcc(*'MJPG'), 8, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    file = InputFile(source, Kind.VIDEO, 'c')
    output = OverlayOutput(tmp_path / 'out', CLASSES)
    labels = np.zeros((48, 64), np.uint8)
    for number in range(1, 6):
        picture = np.full((48, 64, 3), 40 * number, np.uint8)
        output.add(Frame(file, number, picture), Prediction(labels, labels * 0.0))
    (target,) = output.targets(file)
    assert not target.exists()
    output.close_file()
    made = cv2.VideoCapture(str(target))
    assert made.get(cv2.CAP_PROP_FPS) == 8
    means = [made.read()[1].mean() for _ in range(5)]
    np.testing.assert_allclose(means, np.arange(1, 6) * 40, atol=4)
    assert not made.read()[0]
    assert [path.name for path in target.parent.iterdir()] == ['c.mp4']


def test_an_unfinished_video_leaves_no_file(tmp_path, prediction):
    source = tmp_path / 'c.avi'
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter_fourcc(*'MJPG'), 8, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    output = OverlayOutput(tmp_path / 'out', CLASSES)
    labels = np.zeros((48, 64), np.uint8)
    picture = Frame(InputFile(source, Kind.VIDEO, 'c'), 1, np.zeros((48, 64, 3), 'B'))
    output.add(picture, Prediction(labels, labels * 0.0))
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        output.abandon()
    assert list((tmp_path / 'out/overlays').iterdir()) == []


def test_regions_that_touch_at_a_corner_are_one_unless_their_classes_differ(prediction):
    found = [
        (label, int(region.sum()), score)
        for label, region, score in regions(prediction)
    ]
    # (8 * 0.75 + 0.95) / 9
    assert found == [(1, 9, 0.7722), (2, 1, 0.75)]


def test_coco_annotations_are_read_back_by_cocos_own_reader(
    tmp_path, prediction, monkeypatch
):
    times = (0.0, 0.04, 0.12345)
    monkeypatch.setattr(
        'mcdrl_mmseg.apis.outputs.output_base.frame_times', lambda file: times
    )
    output = CocoOutput(tmp_path, (*CLASSES, 'cyst'))
    output.add(frame(), prediction)
    output.add(frame(VIDEO, 3), prediction)
    output.finish()
    coco = COCO(str(tmp_path / 'coco_rle.json'))
    assert [image['file_name'] for image in coco.imgs.values()] == [
        'in/a.png',
        'in/c.avi',
    ]
    assert (coco.imgs[2]['frame'], coco.imgs[2]['time']) == (3, 0.123)
    assert [c['name'] for c in coco.cats.values()] == ['lesion', 'cyst']
    (ring,) = coco.loadAnns(coco.getAnnIds(imgIds=[1], catIds=[1]))
    np.testing.assert_array_equal(coco.annToMask(ring), prediction.labels == 1)
    assert ring['bbox'] == [0, 1, 4, 4]
    assert ring['area'] == coco_mask.area(ring['segmentation']) == 9
    assert len(coco.anns) == 4


def test_contours_distinguish_holes_from_outlines(tmp_path):
    labels = np.zeros((20, 20), np.uint8)
    labels[2:18, 3:15] = 1
    labels[6:12, 6:10] = 0
    prediction = Prediction(labels, labels.astype(np.float32))
    output = ContourOutput(tmp_path, CLASSES)
    output.add(Frame(IMAGE, None, np.zeros((20, 20, 3), np.uint8)), prediction)
    output.finish()
    (image,) = json.loads((tmp_path / 'contours.json').read_text())['images']
    (region,) = image['regions']
    assert (image['width'], image['height']) == (20, 20)
    assert (region['class_name'], region['score']) == ('lesion', 1.0)
    assert region['area'] == 16 * 12 - 6 * 4
    outline, hole = sorted(region['contours'], key=lambda c: c['hole'])
    assert not outline['hole']
    assert hole['hole']
    # Pixels, x before y.
    corners = [[3, 2], [14, 2], [14, 17], [3, 17]]
    assert sorted(outline['points']) == sorted(corners)
    filled = np.zeros((20, 20), np.uint8)
    cv2.fillPoly(filled, [np.array(outline['points'])], 1)
    assert (filled[labels == 1] == 1).all()


def test_an_image_without_lesion_is_listed_without_regions(tmp_path):
    labels = np.zeros((6, 8), np.uint8)
    output = ContourOutput(tmp_path, CLASSES)
    output.add(frame(), Prediction(labels, labels * 0.0))
    assert output.document()['images'][0]['regions'] == []
