#!/usr/bin/env bash
# Hugging Face's datasets stores the file an image was opened from, not the image: edits in place are lost.
#
# Expected: a Pillow image is stored as it is in memory. A name that was painted over is gone.
# Happens: an image from Image.open() remembers its file, and only the path is stored. Edits in place (ImageDraw, paste,
#   thumbnail) are missing when it is read, and map() that returns the image it was given changes nothing. A copy, or
#   anything that makes a new image (convert, resize, crop), is stored as it is. The help says of a PIL.Image.Image that
#   it is a "PIL image object". No message.
# Versions: datasets 5.2.0, Pillow 13.0.0, NumPy 2.4.6.
# Why it matters: endoscopes burn the patient's name into the picture. It is painted black, looks black, and the
#   data set that is handed on shows it. A label map in which a class was painted over keeps that class.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   brightest pixel of the name, which was painted black; expected: 0 always
#   in memory: 0
#   from_dict of a copy: 0
#   from_dict: 255
#   map: 255
#   map, saved and loaded: 255
#   size after thumbnail((32, 32)) in map; expected: (32, 20)
#   (64, 40)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 datasets==5.2.0
HF_HOME=$work HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 venv/bin/python -W ignore - <<'PY'
import numpy as np
from datasets import Dataset, Features, Image, disable_progress_bars, load_from_disk
from PIL import Image as Pictures
from PIL import ImageDraw

disable_progress_bars()
FEATURES = Features({'image': Image()})
frame = np.full((40, 64, 3), 90, np.uint8)
frame[2:8, 4:30] = 255  # The name, in the first ten rows.
Pictures.fromarray(frame).save('frame.png')


def painted(image):
    """The image itself, with its first ten rows black."""
    ImageDraw.Draw(image).rectangle((0, 0, 63, 9), fill=0)
    return image


def stored(image):
    return Dataset.from_dict({'image': [image]}, features=FEATURES)


def smaller(row):
    row['image'].thumbnail((32, 32))
    return row


def name(image):
    """The brightest value of the first ten rows."""
    return int(np.asarray(image)[:10].max())


mapped = stored('frame.png').map(lambda row: {'image': painted(row['image'])})
mapped.save_to_disk('saved')
gone = {
    'in memory': name(painted(Pictures.open('frame.png'))),
    'from_dict of a copy': name(stored(painted(Pictures.open('frame.png').copy()))[0]['image']),
}
there = {
    'from_dict': name(stored(painted(Pictures.open('frame.png')))[0]['image']),
    'map': name(mapped[0]['image']),
    'map, saved and loaded': name(load_from_disk('saved')[0]['image']),
}
size = stored('frame.png').map(smaller)[0]['image'].size
print('brightest pixel of the name, which was painted black; expected: 0 always')
for what, value in (gone | there).items():
    print(f'{what}: {value}')
print('size after thumbnail((32, 32)) in map; expected: (32, 20)')
print(size)
assert 'PIL image object' in Image.__doc__
assert all(value == 0 for value in gone.values())
assert all(value == 255 for value in there.values())
assert size == (64, 40)
PY
