#!/usr/bin/env bash
# imageio's FFmpeg plugin reads 14 frames from a video of 10 frames.
#
# Expected: a reader returns the frames that the file holds, however long each is shown.
# Happens: the plugin lets FFmpeg produce a constant frame rate: a frame that is shown five times as long is returned
#   five times. imageio's own count_frames() says 10. PyAV and OpenCV give each frame once. imageio.get_reader() uses
#   this plugin for an MP4. imageio's issue 176 says that the plugin does not know frame times, but not that it repeats
#   frames.
# Versions: imageio 2.38.1, imageio-ffmpeg 0.8.1, PyAV 18.1.0, OpenCV 5.0.0 (headless).
# Why it matters: endoscopy recorders skip frames. Masks are numbered by frame: from the first
#   gap on they lie on another picture.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   constant, pyav: 10 frames [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
#   constant, opencv: 10 frames [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
#   constant, imageio: 10 frames [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
#   constant, count_frames: 10
#   gap, pyav: 10 frames [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
#   gap, opencv: 10 frames [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
#   gap, imageio: 14 frames [0, 1, 2, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9]
#   gap, count_frames: 10
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 imageio==2.38.1 imageio-ffmpeg==0.8.1 av==18.1.0 opencv-python-headless==5.0.0.93
venv/bin/python -W ignore - <<'PY'
from fractions import Fraction

import av
import cv2
import imageio
import numpy as np

RATE = Fraction(1, 25)


def write(path, times):
    """Frame n is a grey picture of the value 25 n."""
    with av.open(path, 'w') as file:
        stream = file.add_stream('mpeg4', rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = 'yuv420p'
        for number, time in enumerate(times):
            grey = np.full((64, 64, 3), 25 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format='rgb24')
            frame.pts, frame.time_base = time, RATE
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def by_pyav(path):
    with av.open(path) as file:
        return [f.to_ndarray(format='rgb24') for f in file.decode(video=0)]


def by_opencv(path):
    video, frames = cv2.VideoCapture(path), []
    while (got := video.read())[0]:
        frames.append(got[1])
    return frames


def by_imageio(path):
    with imageio.get_reader(path) as reader:
        return [frame for frame in reader]  # list() asks for a length: infinity


def numbers(frames):
    return [round(float(frame.mean()) / 25) for frame in frames]


write('constant.mp4', range(10))
write('gap.mp4', [0, 1, 2, 3, 8, 9, 10, 11, 12, 13])
every = list(range(10))
for name in ('constant', 'gap'):
    path = f'{name}.mp4'
    found = {f.__name__[3:]: numbers(f(path)) for f in (by_pyav, by_opencv, by_imageio)}
    with imageio.get_reader(path) as reader:
        count = reader.count_frames()
    for reader_name, seen in found.items():
        print(f'{name}, {reader_name}: {len(seen)} frames {seen}')
    print(f'{name}, count_frames: {count}')
    assert found['pyav'] == found['opencv'] == every and count == 10
    if name == 'constant':
        assert found['imageio'] == every
    else:
        assert found['imageio'] == sorted([*every, 3, 3, 3, 3])
PY
