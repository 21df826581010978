#!/usr/bin/env bash
# imageio's PyAV plugin returns a different frame for index=31 than frame 31 of its own iteration.
#
# Expected: imread(video, plugin='pyav', index=n) is frame n of imiter(video, plugin='pyav'): "reads the
#   index-th frame".
# Happens: the index is turned into a time by the mean frame rate, counted from 0. It is right in a plain MP4. If the
#   recorder skipped frames, it is 3 to 8 frames early here; in a video that begins later than 0 it is ten early, and in
#   an AVI with B-frames one. In MPEG-TS it is the next key frame. constant_framerate=False is right in all; the default
#   is said to be "read from the container format". The help warns of B-frames: only one of the four has them.
# Versions: imageio 2.38.1, PyAV 18.1.0, NumPy 2.4.6.
# Why it matters: frames are picked by number for annotation, and read one by one for training. The mask of
#   frame 31 then lies on another frame, by an amount that changes along the video.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   frames that imread gives; expected: 0 5 13 24 31 50
#   constant rate, MP4: 0 5 13 24 31 50 - with constant_framerate=False 0 5 13 24 31 50
#   skipped frames, MP4: 0 5 13 21 28 42 - with constant_framerate=False 0 5 13 24 31 50
#   begins later, MP4: 0 0 3 14 21 40 - with constant_framerate=False 0 5 13 24 31 50
#   B-frames, AVI: 0 4 12 23 30 49 - with constant_framerate=False 0 5 13 24 31 50
#   MPEG-TS: 0 8 16 24 32 56 - with constant_framerate=False 0 5 13 24 31 50
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 av==18.1.0 imageio==2.38.1
venv/bin/python - <<'PY'
from fractions import Fraction

import av
import imageio.v3 as iio
import numpy as np

COUNT, WANTED = 60, (0, 5, 13, 24, 31, 50)


def draw(number):
    """A frame with its number in six bars."""
    return np.repeat(np.repeat([[(number >> bit & 1) * 255 for bit in range(6)]], 64, 0), 16, 1)


def number_of(frame):
    bars = frame[20:44, 8::16].mean((0, 2)) > 128
    return sum(int(bar) << bit for bit, bar in enumerate(bars))


def write(path, codec, times, **options):
    with av.open(path, 'w') as container:
        stream = container.add_stream(codec, rate=25, options=dict(g='20', **options))
        stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p'
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(draw(number).astype(np.uint8), format='gray')
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


steady = list(range(COUNT))
skipped = [time + 3 * (time > 10) + 5 * (time > 25) for time in steady]
VIDEOS = {
    'constant rate, MP4': (('a.mp4', 'libx264', steady), dict(bf='0'), [0, 5, 13, 24, 31, 50]),
    'skipped frames, MP4': (('b.mp4', 'libx264', skipped), dict(bf='0'), [0, 5, 13, 21, 28, 42]),
    'begins later, MP4': (('c.mp4', 'libx264', [time + 10 for time in steady]), dict(bf='0'), [0, 0, 3, 14, 21, 40]),
    'B-frames, AVI': (('d.avi', 'mpeg4', steady), dict(bf='2', qmin='2', qmax='2'), [0, 4, 12, 23, 30, 49]),
    'MPEG-TS': (('e.ts', 'libx264', steady), dict(bf='0'), [0, 8, 16, 24, 32, 56]),
}
print('frames that imread gives; expected:', *WANTED)
for name, (video, options, seen) in VIDEOS.items():
    write(*video, **options)
    assert [number_of(frame) for frame in iio.imiter(video[0], plugin='pyav')] == steady
    found = [number_of(iio.imread(video[0], plugin='pyav', index=index)) for index in WANTED]
    exact = [number_of(iio.imread(video[0], plugin='pyav', index=index, constant_framerate=False)) for index in WANTED]
    print(f'{name}:', *found, '- with constant_framerate=False', *exact)
    assert exact == list(WANTED)
    assert found == seen
PY
