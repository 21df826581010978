#!/usr/bin/env bash
# PyLabel writes only the first part of a lesion to YOLO, and drops the others.
#
# Expected: a lesion that COCO keeps as two polygons, as a fold or an instrument in front of it makes them, is written
#   with both, as two lines or as one outline.
# Happens: ExportToYoloV5(segmentation=True) writes the first polygon of the list alone: of 600 pixels in parts of 100
#   and 500 it leaves 100. Which one is first depends on the annotation tool. A lesion of one polygon is right, and
#   ExportToCoco keeps both. No message.
# Versions: pylabel 0.1.55, OpenCV 4.14.0.94, NumPy 2.4.6.
# Why it matters: the rest of the lesion becomes background, for a training as for a test, and nothing that counts
#   lesions shows it: their number stays.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   one part of 500: YOLO 500, COCO 500, expected 500
#   parts of 100 and 500: YOLO 100, COCO 600, expected 600
#   parts of 500 and 100: YOLO 500, COCO 600, expected 600
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 pillow==12.3.0 pycocotools==2.0.11 opencv-python-headless==4.14.0.94 pylabel==0.1.55
TQDM_DISABLE=1 venv/bin/python -W ignore - <<'PY'
import json
from pathlib import Path

from PIL import Image
from pycocotools import mask as coco
from pylabel import importer

WIDTH, HEIGHT = 200, 100
SMALL = [20, 10, 30, 10, 30, 20, 20, 20]  # 10 x 10 pixels
LARGE = [100, 50, 125, 50, 125, 70, 100, 70]  # 25 x 20 pixels
Image.new('RGB', (WIDTH, HEIGHT)).save('colon.png')


def dataset(parts):
    lesion = dict(id=1, image_id=1, category_id=0, bbox=[20, 10, 105, 60], area=600, iscrowd=0, segmentation=parts)
    image = dict(id=1, file_name='colon.png', width=WIDTH, height=HEIGHT)
    Path('in.json').write_text(
        json.dumps(dict(images=[image], categories=[dict(id=0, name='polyp')], annotations=[lesion]))
    )
    return importer.ImportCoco('in.json', path_to_images='', name='colon')


def pixels(parts):
    return int(coco.area(coco.merge(coco.frPyObjects(parts, HEIGHT, WIDTH))))


def to_yolo(parts):
    dataset(parts).export.ExportToYoloV5(output_path='labels', segmentation=True)
    lines = [line.split() for line in Path('labels/colon.txt').read_text().splitlines() if line.strip()]
    scaled = [[float(number) * (WIDTH, HEIGHT)[at % 2] for at, number in enumerate(line[1:])] for line in lines]
    return pixels([[round(number) for number in part] for part in scaled])


def to_coco(parts):
    dataset(parts).export.ExportToCoco('out.json', cat_id_index=None)
    return pixels(json.loads(Path('out.json').read_text())['annotations'][0]['segmentation'])


results = {
    'one part of 500': ([LARGE], 500),
    'parts of 100 and 500': ([SMALL, LARGE], 600),
    'parts of 500 and 100': ([LARGE, SMALL], 600),
}
found = {}
for name, (parts, expected) in results.items():
    found[name] = to_yolo(parts), to_coco(parts)
    print(f'{name}: YOLO {found[name][0]}, COCO {found[name][1]}, expected {expected}')
    assert found[name][1] == expected
assert [yolo for yolo, _ in found.values()] == [500, 100, 500]
PY
