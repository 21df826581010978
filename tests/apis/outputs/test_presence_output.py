import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mcdrl_mmseg.apis.inferencer import Prediction
from mcdrl_mmseg.apis.inputs import InputFile, Kind
from mcdrl_mmseg.apis.outputs.output_base import Frame
from mcdrl_mmseg.apis.outputs.presence_output import (
    PresenceMaskOutput,
    PresenceOutput,
    expected_dice,
)

CLASSES = ('background', 'lesion')


def frame(name='a'):
    file = InputFile(Path(f'in/{name}.png'), Kind.IMAGE, name)
    return Frame(file, None, np.zeros((1, 4, 3), np.uint8))


def prediction(*p, own=None):
    p = np.array([p], np.float32)
    labels = ((p if own is None else np.array([own])) > 0.5).astype(np.uint8)
    return Prediction(labels, p, None if own is None else np.array([own], np.float32))


# Its expected Dice is 2 * 1.5 / (1.75 + 2): 1.5 in the mask of two pixels, 1.75 in all.
UNSURE = (0.75, 0.75, 0.25, 0.0)


def test_expected_dice_is_the_soft_dice_of_the_mask_and_its_probability():
    assert expected_dice(prediction(*UNSURE)) == pytest.approx(0.8)
    assert expected_dice(prediction(0.25, 0.25, 0.0, 0.0)) == 0
    assert expected_dice(prediction(1.0, 0.0, 0.0, 0.0)) == 1


def test_calibration_does_not_change_the_expected_dice():
    calibrated = prediction(0.6, 0.6, 0.4, 0.3, own=UNSURE)
    assert expected_dice(calibrated) == pytest.approx(0.8)


@pytest.mark.parametrize(('threshold', 'kept'), [(0.79, True), (0.81, False)])
def test_masks_with_an_expected_dice_below_the_threshold_are_emptied(
    tmp_path, threshold, kept
):
    output = PresenceMaskOutput(tmp_path, CLASSES, threshold)
    output.add(frame(), prediction(*UNSURE))
    mask = cv2.imread(str(tmp_path / 'presence/a.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, [[255, 255, 0, 0]] if kept else [[0, 0, 0, 0]])


def test_masks_of_several_lesion_classes_keep_their_class_numbers(tmp_path):
    labels = np.array([[2, 1, 0, 0]], np.uint8)
    p = np.array([[0.9, 0.9, 0.1, 0.1]], np.float32)
    output = PresenceMaskOutput(tmp_path, (*CLASSES, 'other'), 0.5)
    output.add(frame(), Prediction(labels, p))
    mask = cv2.imread(str(tmp_path / 'presence/a.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, labels)


def test_presence_file_records_self_dice_and_whether_a_mask_was_emptied(tmp_path):
    presence = dict(threshold=0.9, loss=0.5, method='mcdrl')
    output = PresenceOutput(tmp_path, CLASSES, presence)
    output.add(frame('sure'), prediction(1.0, 0.0, 0.0, 0.0))
    output.add(frame('unsure'), prediction(*UNSURE))
    output.add(frame('empty'), prediction(0.25, 0.0, 0.0, 0.0))
    output.finish()
    written = json.loads((tmp_path / 'presence.json').read_text())
    assert written['presence'] == presence
    found = [(i['self_dice'], i['lesion'], i['emptied']) for i in written['images']]
    assert found == [(1.0, True, False), (0.8, False, True), (0.0, False, False)]
