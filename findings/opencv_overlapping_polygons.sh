#!/usr/bin/env bash
# Where two outlines overlap, OpenCV's fillPoly draws background.
#
# Expected: fillPoly(mask, [first, second], 1) fills the union, as two calls do.
# Happens: polygons of one call are filled by the even-odd rule: what lies within two of them stays 0.
#   Two squares of 256 pixels that overlap have 412 pixels and not 448, and a lesion drawn within
#   another one is a hole. drawContours(mask, outlines, -1, 1, FILLED) does the same. pycocotools
#   gives the union. The documentation says that holes can be drawn, not that an overlap is one.
# Versions: OpenCV 5.0.0 (headless), pycocotools 2.0.11, NumPy 2.4.6.
# Why it matters: outlines of one image from LabelMe, CVAT or two readers are passed as a list. The
#   truth then has holes just where lesions touch or readers agree. Draw one at a time.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   apart: expected 512; fillPoly 512, drawContours 512; by COCO, which fills a rim less, 450
#   overlapping: expected 448; fillPoly 412, drawContours 412; by COCO, which fills a rim less, 401
#   within: expected 256; fillPoly 240, drawContours 240; by COCO, which fills a rim less, 225
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93 pycocotools==2.0.11
venv/bin/python -W ignore - <<'PY'
import cv2
import numpy as np
from pycocotools import mask as runs

first = np.array([[5, 5], [20, 5], [20, 20], [5, 20]], np.int32)


def drawn(second):
    one_call, outlines, each = (np.zeros((60, 60), np.uint8) for _ in range(3))
    cv2.fillPoly(one_call, [first, second], 1)
    cv2.drawContours(outlines, [first, second], -1, 1, cv2.FILLED)
    for polygon in (first, second):
        cv2.fillPoly(each, [polygon], 1)
    parts = runs.frPyObjects([first.ravel().tolist(), second.ravel().tolist()], 60, 60)
    return one_call, outlines, each, runs.decode(runs.merge(parts))


SECOND = dict(apart=first + 25, overlapping=first + 8, within=first // 3 + 8)
for name, second in SECOND.items():
    one_call, outlines, each, coco = drawn(second)
    print(
        f'{name}: expected {each.sum()}; fillPoly {one_call.sum()}, drawContours {outlines.sum()};'
        f' by COCO, which fills a rim less, {coco.sum()}'
    )
    assert np.array_equal(one_call, outlines)
    assert (one_call.sum() < each.sum()) == (name != 'apart')
_, _, each, coco = drawn(first + 8)
assert coco[15, 15] == each[15, 15] == 1 and drawn(first + 8)[0][15, 15] == 0
PY
