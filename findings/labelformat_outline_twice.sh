#!/usr/bin/env bash
# labelformat's polygons trace the outline of a mask twice, and COCO's reader finds no pixel in them.
#
# Expected: of a folder of images and masks (input format maskpair) the COCO file has the outline of each lesion, so
#   that pycocotools gives the mask back but for a row and a column.
# Happens: each outline is followed twice, point by point. By the even-odd rule, which pycocotools, OpenCV and
#   Pillow fill by, what is enclosed twice lies outside: pycocotools gives 0 pixels for 500, OpenCV and Pillow the
#   outline alone. Polygons are the default; with segmentation_type='rle' the mask is right. Half of the points are
#   right, too.
# Versions: labelformat 0.1.17, pycocotools 2.0.11, OpenCV 5.0.0.93, Pillow 13.0.0, NumPy 2.4.6.
# Why it matters: all lesions are gone for a training that draws its masks from the file, and for an evaluation against
#   it, where every detection is a false positive. Boxes are correct to within a pixel, and a viewer that draws lines
#   shows no error.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   disc, run lengths, expected and happened: 1257, 1257
#   rectangle, run lengths, expected and happened: 500, 500
#   disc, polygon, happened: 0 by pycocotools, 112 by OpenCV, 112 by Pillow; half of its 224 points: 1257, 1257
#   rectangle, polygon, happened: 0 by pycocotools, 86 by OpenCV, 86 by Pillow; half of its 172 points: 500, 500
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93 pycocotools==2.0.11 labelformat==0.1.17
venv/bin/python -W ignore - <<'PY'
import json
from pathlib import Path

import cv2
import numpy as np
from labelformat.formats import COCOInstanceSegmentationOutput
from labelformat.formats.maskpair import MaskPairInstanceSegmentationInput
from PIL import Image, ImageDraw
from pycocotools import mask as coco

rows, columns = np.indices((64, 80))
LESIONS = {
    'rectangle': (rows >= 10) & (rows < 30) & (columns >= 20) & (columns < 45),
    'disc': (rows - 30) ** 2 + (columns - 40) ** 2 <= 400,
}
for name, lesion in LESIONS.items():
    for folder in ('images', 'masks'):
        Path(folder).mkdir(exist_ok=True)
        Image.fromarray(lesion.astype(np.uint8) * 255).save(f'{folder}/{name}.png')


def convert(kind):
    path = Path(f'{kind}.json')
    pairs = MaskPairInstanceSegmentationInput('images/*.png', 'masks/*.png', segmentation_type=kind)
    COCOInstanceSegmentationOutput(output_file=path).save(label_input=pairs)
    return path


def segmentations(path):
    """Name, segmentation, and pixels by pycocotools of each lesion."""
    data = json.loads(path.read_text())
    names = {image['id']: Path(image['file_name']).stem for image in data['images']}
    for annotation in data['annotations']:
        segmentation = annotation['segmentation']
        pixels = int(np.sum(coco.area(coco.frPyObjects(segmentation, 64, 80))))
        yield names[annotation['image_id']], segmentation, pixels


def filled(points):
    """Pixels of a polygon by OpenCV and by Pillow."""
    canvas, picture = np.zeros((64, 80), np.uint8), Image.new('L', (80, 64))
    cv2.fillPoly(canvas, [points], 1)
    ImageDraw.Draw(picture).polygon([tuple(point) for point in points.tolist()], fill=1)
    return int(canvas.sum()), int(np.array(picture).sum())


for name, _, pixels in segmentations(convert('rle')):
    print(f'{name}, run lengths, expected and happened: {LESIONS[name].sum()}, {pixels}')
    assert pixels == LESIONS[name].sum()
for name, (polygon,), pixels in segmentations(convert('polygon')):
    points = np.array(polygon).reshape(-1, 2).round().astype(np.int32)
    half = len(points) // 2
    by_others, once = filled(points), filled(points[:half])
    print(f'{name}, polygon, happened: {pixels} by pycocotools, {by_others[0]} by OpenCV, {by_others[1]} by Pillow', end=';')
    print(f' half of its {len(points)} points: {once[0]}, {once[1]}')
    assert (points[:half] == points[half:]).all()
    assert pixels == 0
    assert once == (LESIONS[name].sum(),) * 2 and max(by_others) < LESIONS[name].sum() / 4
PY
