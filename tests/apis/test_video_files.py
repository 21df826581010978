import os
import shutil

import cv2
import numpy as np
import pytest

from mcdrl_mmseg.apis import ImageError
from mcdrl_mmseg.apis.inputs import (
    InputFile,
    Kind,
    count_images,
    frame_rate,
    read_images,
)
from mcdrl_mmseg.apis.outputs.video_times import frame_times
from mcdrl_mmseg.apis.video_files import opened_video

CODECS = dict(
    avi='MJPG', m4v='mp4v', mkv='XVID', mov='mp4v', mp4='mp4v', mpeg='MPG2', mpg='MPG2',
    ts='mp4v', webm='VP80', wmv='WMV2',
)  # fmt: skip
VALUES = tuple(range(10, 250, 20))


def make(path, codec) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (64, 64))
    assert writer.isOpened()
    for value in VALUES:
        writer.write(np.full((64, 64, 3), value, np.uint8))
    writer.release()


@pytest.mark.parametrize('ending', sorted(CODECS))
def test_every_container_is_recognised_by_its_content(tmp_path, ending):
    path = tmp_path / f'a.{ending}'
    make(path, CODECS[ending])
    # Under any name.
    for name in (path.name, 'b.mp4', 'c_01.avi'):
        shutil.copyfile(path, tmp_path / name) if name != path.name else None
        frames = list(read_images(InputFile(tmp_path / name, Kind.VIDEO, 'a')))
        np.testing.assert_allclose([f.mean() for f in frames], VALUES, atol=8)


@pytest.mark.reliability('security', 'a video that lists or names other files')
@pytest.mark.parametrize(
    'text',
    [
        'ffconcat version 1.0\nfile {name}\n',
        '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{name}\n#EXT-X-ENDLIST\n',
        # MPEG-TS by its first bytes, a session description to FFmpeg.
        'G\nv=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n{name}',
    ],
)
def test_a_text_that_lists_other_files_is_not_read_as_a_video(tmp_path, text):
    make(tmp_path / 'other.avi', 'MJPG')
    for name in ('other.avi', tmp_path / 'other.avi'):
        content = text.format(name=name).encode()
        path = tmp_path / 'list.mp4'
        if content[:1] == b'G':
            content = content.ljust(188, b'\n') + b'G' * 2000
        path.write_bytes(content)
        file = InputFile(path, Kind.VIDEO, 'list')
        uses = (count_images, frame_rate, frame_times, lambda f: next(read_images(f)))
        for use in uses:
            with pytest.raises(ImageError, match=r'list\.mp4: .*not a video'):
                use(file)


@pytest.mark.reliability('security', 'an image that is called a video, with a number')
def test_numbered_images_named_as_videos_are_not_read_as_a_sequence(tmp_path):
    for number in (1, 2):
        path = tmp_path / f'scan_{number:02d}.png'
        cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
        path.rename(path.with_suffix('.mp4'))
    # OpenCV would take the second for the next frame of the first.
    assert cv2.VideoCapture(str(tmp_path / 'scan_01.mp4'), cv2.CAP_IMAGES).isOpened()
    with pytest.raises(ImageError, match=r'scan_01\.mp4: .*not a video'):
        list(read_images(InputFile(tmp_path / 'scan_01.mp4', Kind.VIDEO, 'scan_01')))


def test_ffmpeg_uses_no_other_reader_and_the_users_options_are_kept(
    tmp_path, monkeypatch, capfd
):
    # Skips the check of the content, as with a file that changes after it.
    monkeypatch.setattr('mcdrl_mmseg.apis.video_files._is_container', lambda path: True)
    make(tmp_path / 'other.avi', 'MJPG')
    path = tmp_path / 'list.mp4'
    path.write_text('ffconcat version 1.0\nfile other.avi\n')
    monkeypatch.setenv('OPENCV_FFMPEG_CAPTURE_OPTIONS', 'threads;1')
    cannot = pytest.raises(ImageError, match=r'list\.mp4: OpenCV cannot open')
    with cannot, opened_video(path):
        pass
    assert os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS'] == 'threads;1'
    assert cv2.VideoCapture(str(path)).isOpened()
    monkeypatch.delenv('OPENCV_FFMPEG_CAPTURE_OPTIONS')
    with opened_video(tmp_path / 'other.avi') as video:
        assert video.read()[0]
    assert 'OPENCV_FFMPEG_CAPTURE_OPTIONS' not in os.environ
