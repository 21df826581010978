#!/usr/bin/env bash
# Nyxus truncates floats to whole numbers, and counts negative values from the darkest pixel.
#
# Expected: featurize(image, labels) gives mean, minimum and maximum of each region as they are in the image,
#   whatever its type.
# Happens: of an image of 0 to 1 all are 0, in an array of floats and in a TIFF of floats alike. Of one with negative
#   values the lowest value of the whole image is subtracted first: a region of -150 in a CT with air at -1000 has a
#   mean of 850, and of 126 in the same picture without the air. Decimals are dropped. Unsigned integers are correct. No
#   message. The shift of values is known, pull request 464, and is part of 0.11.0.
# Versions: nyxus 0.11.0, tifffile 2026.3.3, pandas 3.1.1, NumPy 2.4.6.
# Why it matters: of images that were divided by 255 mean, spread and extremes are 0 for all lesions. Those of CTs
#   depend on one pixel anywhere in the image, as on how it was cropped, and differ by site for that alone.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   means of integers: expected 180 75 - happened 180.0 75.0
#   of the same divided by 255: expected 0.706 0.294 - happened 0.0 0.0 - of a TIFF 0.0 0.0
#   of a CT: expected -150.0 40.5 - happened 126.0 316.0 - with one pixel of air 850.0 1040.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pandas==3.1.1 tifffile==2026.3.3 nyxus==0.11.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
import tifffile
from nyxus import Nyxus

labels = np.zeros((64, 64), np.uint16)
labels[10:30, 10:40], labels[40:60, 5:25] = 1, 2
photo = np.select([labels == 1, labels == 2], [180, 75], 25)
FEATURES = ['MEAN', 'MIN', 'MAX']


def means(image):
    rows = Nyxus(FEATURES).featurize(image, labels.astype(np.uint32))
    assert (rows['MEAN'] == rows['MIN']).all() and (rows['MEAN'] == rows['MAX']).all()
    return rows['MEAN'].tolist()


def means_of_file(image):
    tifffile.imwrite('image.tif', image)
    tifffile.imwrite('labels.tif', labels)
    return Nyxus(FEATURES).featurize_files(['image.tif'], ['labels.tif'], False)['MEAN'].tolist()


def say(name, expected, *happened):
    print(f'{name}: expected', *expected, '- happened', *happened)


whole = means(photo.astype(np.uint8))
say('means of integers', (180, 75), *whole)
assert whole == [180, 75]
scaled = (photo / 255).astype(np.float32)
in_memory, in_file = means(scaled), means_of_file(scaled)
say('of the same divided by 255', (0.706, 0.294), *in_memory, '- of a TIFF', *in_file)
assert in_memory == in_file == [0, 0]
body = np.select([labels == 1, labels == 2], [-150.0, 40.5], -276.0)
air = body.copy()
air[0, 0] = -1000
without, with_air = means(body), means(air)
say('of a CT', (-150.0, 40.5), *without, '- with one pixel of air', *with_air)
assert without == [126, 316] and with_air == [850, 1040]
PY
