import json
import struct

import cv2
import numpy as np
import pytest

from mcdrl_mmseg.apis.inferencer import Prediction
from mcdrl_mmseg.apis.inputs import InputFile, Kind, read_images
from mcdrl_mmseg.apis.outputs.output_base import Frame
from mcdrl_mmseg.apis.outputs.overlay_output import OverlayOutput
from mcdrl_mmseg.apis.outputs.plain_outputs import CocoOutput
from mcdrl_mmseg.apis.outputs.video_times import at_constant_rate, frame_times

TIMES = [0.0, 0.1, 0.2, 1.2, 2.2, 2.3]


def _retimed(boxes: bytes, lasting: list[int]) -> bytes:
    """The MP4 boxes with each frame lasting its own number of ticks."""
    made, at = b'', 0
    while at < len(boxes):
        size, kind = struct.unpack('>I4s', boxes[at : at + 8])
        body = boxes[at + 8 : at + size]
        at += size
        if kind == b'edts':
            continue
        if kind in (b'moov', b'trak', b'mdia', b'minf', b'stbl'):
            body = _retimed(body, lasting)
        elif kind == b'stts':
            entries = b''.join(struct.pack('>II', 1, ticks) for ticks in lasting)
            body = struct.pack('>II', 0, len(lasting)) + entries
        made += struct.pack('>I4s', len(body) + 8, kind) + body
    return made


@pytest.fixture
def variable(tmp_path) -> InputFile:
    """Six frames, of which the third and fourth last a second, the others a tenth."""
    path = tmp_path / 'clip.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (64, 48))
    for number in range(6):
        writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    writer.release()
    # OpenCV counts 10240 ticks a second.
    tenth, second = 1024, 10240
    lasting = [tenth, tenth, second, second, tenth, tenth]
    path.write_bytes(_retimed(path.read_bytes(), lasting))
    return InputFile(path, Kind.VIDEO, 'clip')


def test_frame_times_are_those_of_the_file(variable):
    assert len(list(read_images(variable))) == 6
    assert frame_times(variable) == pytest.approx(TIMES, abs=1e-3)


def test_frames_that_last_longer_are_repeated():
    shown = at_constant_rate(TIMES, 2.5)
    assert shown.rate == pytest.approx(10)
    assert shown.counts == (1, 1, 10, 10, 1, 1)
    assert shown.count(7) == 1


def test_frames_of_equal_duration_keep_their_rate():
    shown = at_constant_rate([0, 0.033, 0.067, 0.1], 30.0)
    assert (shown.rate, shown.counts) == (30.0, (1, 1, 1, 1))


def test_frames_shorter_than_the_highest_rate_allows_are_all_kept():
    shown = at_constant_rate([0, 0.001, 0.002, 1.002], 4.0)
    assert shown.rate == 120
    assert shown.counts[:2] == (1, 1)
    # The third frame ends when the source shows the fourth.
    assert sum(shown.counts[:3]) == round(1.002 * 120)


@pytest.mark.reliability('bad input', 'a video of variable frame rate')
def test_an_overlay_lasts_as_long_as_its_source_and_the_json_file_has_the_times(
    variable, tmp_path
):
    labels = np.zeros((48, 64), np.uint8)
    overlay = OverlayOutput(tmp_path / 'out', ('background', 'lesion'))
    coco = CocoOutput(tmp_path / 'out', ('background', 'lesion'))
    for number, image in enumerate(read_images(variable), start=1):
        for output in (overlay, coco):
            output.add(Frame(variable, number, image), Prediction(labels, labels * 0.0))
    overlay.close_file()
    coco.finish()
    made = cv2.VideoCapture(str(tmp_path / 'out/overlays/clip.mp4'))
    means = []
    while True:
        done, image = made.read()
        if not done:
            break
        means.append(image.mean())
    assert made.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    expected = np.repeat(np.arange(6) * 40, [1, 1, 10, 10, 1, 1])
    np.testing.assert_allclose(means, expected, atol=8)
    images = json.loads((tmp_path / 'out/coco_rle.json').read_text())['images']
    assert [image['time'] for image in images] == TIMES
