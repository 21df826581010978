#!/usr/bin/env bash
# HistomicsTK does not remove an outline that overlaps only the first of the list.
#
# Expected: remove_overlap_nuclei keeps one of two outlines that overlap, wherever they are in the list.
# Happens: the numbers of the outlines that overlap are asked for any that is true, and the number of the first is 0. A
#   second outline of the first lesion stays, even one equal to it; of any other lesion it is removed. The same outlines
#   in another order give another number of lesions. No message; the help does not mention it.
# Versions: histomicstk 1.4.0, Shapely 2.2.0, NumPy 2.4.6.
# Why it matters: lesions found in overlapping tiles are found twice, and this is the step that counts each once. The
#   first is counted twice for every list of outlines.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   left sides of squares of 20 pixels, and of those that are kept
#   [100, 0, 10] [100, 0]
#   [0, 10, 100] [0, 10, 100]
#   [0, 100] [0, 100]
#   [0, 0] [0, 0]
#   [100, 0, 0] [100, 0]
# The package is installed without its readers of slides, of which the import of this function needs only the names.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 pandas==3.1.1 shapely==2.2.0 large-image==1.35.6 ctk-cli==1.5
venv/bin/pip install --quiet --disable-pip-version-check --no-deps girder-slicer-cli-web==5.0.21 histomicstk==1.4.0
venv/bin/python -W ignore - <<'PY'
from histomicstk.segmentation.label import remove_overlap_nuclei


def kept(*sides):
    squares = [
        {
            'name': side,
            'type': 'polyline',
            'closed': True,
            'points': [[side, 0, 0], [side + 20, 0, 0], [side + 20, 20, 0], [side, 20, 0]],
        }
        for side in sides
    ]
    names = [square['name'] for square in remove_overlap_nuclei(squares, 'polygon')]
    print(list(sides), names)
    return names


print('left sides of squares of 20 pixels, and of those that are kept')
assert kept(100, 0, 10) == [100, 0]
assert kept(0, 10, 100) == [0, 10, 100]
assert kept(0, 100) == [0, 100]
assert kept(0, 0) == [0, 0]
assert kept(100, 0, 0) == [100, 0]
PY
