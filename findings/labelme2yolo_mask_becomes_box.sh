#!/usr/bin/env bash
# labelme2yolo writes a mask of labelme as two corners, which YOLO reads as a box with a different position and size.
#
# Expected: with --output_format polygon a shape of labelme's type "mask", which its AI and brush tools draw,
#   becomes an outline; or it is refused, left out or warned of.
# Happens: the pixels are not read. The two corners of the mask are written as if they were a polygon: five numbers,
#   which is how YOLO writes a box by centre and size. The corners (20, 10) and (50, 30) thus become a box centred at
#   (20, 10) of 50 x 30 pixels, half of it outside of the image. It counts as a "successful conversion". With
#   --output_format bbox the box is right, and so are drawn polygons.
# Versions: labelme2yolo 0.4.0, Pillow 13.0.0, NumPy 2.4.6.
# Why it matters: a data set in which some lesions were drawn by hand and others by a click trains on boxes
#   beside the lesions for the latter. Make polygons of them in labelme first, or export its label maps.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: x 20 to 50, y 10 to 30
#   polygon, as polygon: 8 numbers, x 20.0 to 50.0, y 10.0 to 30.0
#   polygon, as bbox: 4 numbers, x 20.0 to 50.0, y 10.0 to 30.0
#   mask, as bbox: 4 numbers, x 20.0 to 50.0, y 10.0 to 30.0
#   mask, as polygon: 4 numbers, x -5.0 to 45.0, y -5.0 to 25.0
#   Successful conversions: 2
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 labelme2yolo==0.4.0
venv/bin/python -W ignore - <<'PY'
import base64
import io
import json
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 100, 80
rows, columns = np.mgrid[:21, :31]
blob = ((rows - 10) / 10) ** 2 + ((columns - 15) / 15) ** 2 <= 1
stream = io.BytesIO()
Image.fromarray(blob).save(stream, 'PNG')
SHAPES = {
    'polygon': dict(shape_type='polygon', points=[[20, 10], [50, 10], [50, 30], [20, 30]], mask=None),
    'mask': dict(
        shape_type='mask', points=[[20, 10], [50, 30]], mask=base64.b64encode(stream.getvalue()).decode()
    ),
}  # fmt: skip


def labels(output_format):
    """The numbers of each label after its class, and what the program says."""
    folder = Path(output_format)
    folder.mkdir()
    for name, shape in SHAPES.items():
        Image.new('RGB', (WIDTH, HEIGHT)).save(folder / f'{name}.png')
        shape = dict(shape, label='polyp', group_id=None, description='', flags={})
        annotation = dict(
            version='5.5.0', flags={}, shapes=[shape], imagePath=f'{name}.png', imageData=None,
            imageHeight=HEIGHT, imageWidth=WIDTH,
        )  # fmt: skip
        (folder / f'{name}.json').write_text(json.dumps(annotation))
    done = subprocess.run(
        ['venv/bin/labelme2yolo', '--json_dir', folder, '--output_format', output_format],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = (folder / 'YOLODataset/labels').rglob('*.txt')
    numbers = {file.name.split('_')[0]: [float(text) for text in file.read_text().split()[1:]] for file in files}
    return numbers, done.stdout + done.stderr


def extent(numbers):
    """Of a label as YOLO reads it: four numbers are a box, more are an outline."""
    if len(numbers) == 4:
        x, y, width, height = numbers
        ends = [x - width / 2, x + width / 2, y - height / 2, y + height / 2]
    else:
        ends = [min(numbers[::2]), max(numbers[::2]), min(numbers[1::2]), max(numbers[1::2])]
    return [round(end * scale, 1) for end, scale in zip(ends, (WIDTH, WIDTH, HEIGHT, HEIGHT))]


polygons, said = labels('polygon')
boxes, _ = labels('bbox')
results = {
    'polygon, as polygon': polygons['polygon'],
    'polygon, as bbox': boxes['polygon'],
    'mask, as bbox': boxes['mask'],
    'mask, as polygon': polygons['mask'],
}
print('expected: x 20 to 50, y 10 to 30')
for name, numbers in results.items():
    left, right, top, bottom = extent(numbers)
    print(f'{name}: {len(numbers)} numbers, x {left} to {right}, y {top} to {bottom}')
print(*(line.partition('] ')[2] for line in said.splitlines() if 'Successful conversions' in line))
*right, wrong = results.values()
assert all(extent(numbers) == [20, 50, 10, 30] for numbers in right)
assert wrong == [0.2, 0.125, 0.5, 0.375] and extent(wrong) == [-5, 45, -5, 25]
assert 'Successful conversions: 2' in said and 'WARN' not in said and 'ERROR' not in said
PY
