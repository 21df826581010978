#!/usr/bin/env bash
# Label Studio's converter rotates boxes in per cent of the image size for COCO, and drops the rotation for YOLO.
#
# Expected: a box that was drawn turned by 45 degrees is exported to COCO and YOLO as its bounding box, or is refused.
# Happens: for COCO it is rotated in per cent of width and height, which differ in pixels: in an image of 200 x 100 the
#   box is too wide and too low by the aspect, and at another place. In a square image it is right. For YOLO the angle
#   is dropped: the box is the one before the rotation, with an IoU of 0.2 with the true one. The library's own function
#   for oriented boxes is right. No message.
# Versions: label-studio-sdk 2.1.2, NumPy 2.2.6.
# Why it matters: rotated boxes are drawn around long lesions and instruments. Detectors, and models that are prompted
#   by boxes, are trained on boxes that miss part of the lesion.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   image, rotation: box around it - COCO - YOLO
#   200x100, 0: [80, 40, 40, 10] - [80, 40, 40, 10] - [80, 40, 40, 10]
#   200x200, 45: [73, 40, 35, 35] - [73, 40, 35, 35] - [80, 40, 40, 10]
#   200x100, 45: [73, 40, 35, 35] - [66, 40, 42, 21] - [80, 40, 40, 10]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.2.6 label-studio-sdk==2.1.2
venv/bin/python -W ignore - <<'PY'
import json
import logging
from pathlib import Path

from label_studio_sdk.converter.converter import Converter
from label_studio_sdk.converter.utils import convert_annotation_to_yolo_obb

logging.disable()
CONFIG = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image">'
    '<Label value="polyp"/></RectangleLabels></View>'
)


def around(points):
    """x, y, width and height of the box around points, in pixels."""
    columns, rows = zip(*points)
    return [round(n) for n in (min(columns), min(rows), max(columns) - min(columns), max(rows) - min(rows))]


def exported(height, rotation):
    """A box of 40 x 10 pixels at (80, 40) in an image 200 wide: what is around it, COCO's box, YOLO's box."""
    name = f'{height}_{rotation}'
    box = dict(x=40, y=4000 / height, width=20, height=1000 / height, rotation=rotation)
    drawn = dict(
        id='a', type='rectanglelabels', from_name='box', to_name='image', original_width=200, original_height=height,
        image_rotation=0, value={**box, 'rectanglelabels': ['polyp']},
    )  # fmt: skip
    Path(f'{name}.json').write_text(json.dumps([dict(id=1, data={'image': 'a.png'}, annotations=[dict(id=1, result=[drawn])])]))
    converter = Converter(CONFIG, '.', download_resources=False)
    converter.convert_to_coco(f'{name}.json', f'{name}_coco', is_dir=False)
    converter.convert_to_yolo(f'{name}.json', f'{name}_yolo', is_dir=False)
    coco = json.loads(Path(f'{name}_coco/result.json').read_text())['annotations'][0]['bbox']
    line = next(Path(f'{name}_yolo/labels').glob('*.txt')).read_text().split()[1:]
    x, y, w, h = (float(share) * side for share, side in zip(line, (200, height) * 2))
    corners = convert_annotation_to_yolo_obb({**box, 'original_width': 200, 'original_height': height}, normalize=False)
    return around(corners), [round(n) for n in coco], [round(n) for n in (x - w / 2, y - h / 2, w, h)]


print('image, rotation: box around it - COCO - YOLO')
for height, rotation in ((100, 0), (200, 45), (100, 45)):
    true, coco, yolo = exported(height, rotation)
    print(f'200x{height}, {rotation}:', true, '-', coco, '-', yolo)
    assert true == ([80, 40, 40, 10] if rotation == 0 else [73, 40, 35, 35])
    assert coco == (true if (height, rotation) != (100, 45) else [66, 40, 42, 21])
    assert yolo == [80, 40, 40, 10]
PY
