#!/usr/bin/env bash
# supervision writes a lesion in two parts, or with a hole, as a crowd, and COCO's evaluation skips it.
#
# Expected: DetectionDataset.as_coco() writes one annotation of one object, iscrowd 0.
# Happens: a mask that one polygon cannot hold is written as runs, with iscrowd 1. To COCO's evaluation a crowd is not
#   an object to be found: of two images, one found and one missed, the average precision is 0.9 where the missed lesion
#   has a hole or two parts, and 0.45 where it is whole (0.9 and not 1 as polygons lose a row and a column). COCO's page
#   on its format does say that runs are for crowds; its own code reads them with iscrowd 0 as well.
# Versions: supervision 0.31.2, pycocotools 2.0.11, OpenCV 5.0.0 (headless), NumPy 2.4.6.
# Why it matters: instruments, bubbles and reflections cut lesions in parts, and exactly these hard images drop out of
#   the score. Set iscrowd to 0 in the file; COCO reads runs without it.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: iscrowd 0, and the score of a missed lesion
#   whole missed: iscrowd 0, average precision 0.45
#   hole missed: iscrowd 1, average precision 0.9
#   parts missed: iscrowd 1, average precision 0.9
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93 supervision==0.31.2 pycocotools==2.0.11
venv/bin/python -W ignore - <<'PY'
import contextlib
import io
import json

import cv2
import numpy as np
import supervision as sv
from pycocotools import mask as runs
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

for name in ('a.png', 'b.png'):
    cv2.imwrite(name, np.zeros((64, 64, 3), np.uint8))
whole = np.zeros((64, 64), bool)
whole[10:40, 10:40] = True
hole, parts = whole.copy(), whole.copy()
hole[20:24, 20:24] = False
parts[:, 24:27] = False


def detections(mask):
    rows, columns = np.nonzero(mask)
    box = [columns.min(), rows.min(), columns.max(), rows.max()]
    return sv.Detections(xyxy=np.array([box], float), mask=mask[None], class_id=np.array([0]))


def scored(missed):
    """iscrowd of the missed lesion, and the average precision where `whole` is found."""
    truth = {'a.png': detections(whole), 'b.png': detections(missed)}
    data = sv.DetectionDataset(classes=['polyp'], images=list(truth), annotations=truth)
    data.as_coco(annotations_path='truth.json')
    with open('truth.json') as file:
        first, second = json.load(file)['annotations']
    found = runs.encode(np.asfortranarray(whole.astype(np.uint8)))
    detection = dict(
        image_id=first['image_id'],
        category_id=first['category_id'],
        segmentation=dict(found, counts=found['counts'].decode()),
        score=1.0,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO('truth.json')
        evaluation = COCOeval(coco, coco.loadRes([detection]), 'segm')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return second['iscrowd'], round(float(evaluation.stats[0]), 2)


print('expected: iscrowd 0, and the score of a missed lesion')
masks = dict(whole=whole, hole=hole, parts=parts)
results = {name: scored(mask) for name, mask in masks.items()}
for name, (crowd, precision) in results.items():
    print(f'{name} missed: iscrowd {crowd}, average precision {precision}')
assert results['whole'][0] == 0 and results['whole'][1] < 0.5
assert results['hole'] == results['parts'] == (1, 0.9)
PY
