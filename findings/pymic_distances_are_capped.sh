#!/usr/bin/env bash
# PyMIC's evaluation caps HD95 at 50 and the mean surface distance at 20, in pixels or in mm.
#
# Expected: a lesion that is found 300 pixels away has an HD95 of 300, one of 80 pixels away 80, and a missed one is
#   infinite, NaN or worse than both.
# Happens: get_class_evaluation_score, and so the package's command for evaluation, cuts HD95 at 50 and ASSD at 20,
#   whatever the size of a pixel: all three lesions have 50 and 20. The functions below it, binary_hd95 and binary_assd,
#   give 300 and 285.5 for the first one, and 100 and 20 for the missed one: finding nothing scores better than finding
#   the lesion elsewhere. With pixels of 0.1 mm, where 300 of them are 30 mm, a missed one is still 100. The help does
#   not mention it.
# Versions: pymic 0.6.2, torch 2.13.0, SciPy 1.17.1, pandas 3.1.1, h5py 3.16.0, SimpleITK 2.5.7, scikit-image
#   0.26.0, Pillow 13.0.0, NumPy 2.4.6.
# Why it matters: all bad images of a test set get the same number. A model that is far off and one that is closer score
#   the same, and distances without a voxel size, as of photographs and endoscopy, soon reach the limit.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   HD95 and ASSD by binary_hd95 and binary_assd; by get_class_evaluation_score
#   pixels of 1 mm, 10 pixels away: 10.0 5.0 ; 10.0 5.0
#   pixels of 1 mm, 80 pixels away: 80.0 65.5 ; 50.0 20.0
#   pixels of 1 mm, 300 pixels away: 300.0 285.5 ; 50.0 20.0
#   pixels of 1 mm, missed: 100.0 20.0 ; 50.0 20.0
#   pixels of 0.1 mm, 10 pixels away: 1.0 0.5 ; 1.0 0.5
#   pixels of 0.1 mm, 80 pixels away: 8.0 6.6 ; 8.0 6.6
#   pixels of 0.1 mm, 300 pixels away: 30.0 28.5 ; 30.0 20.0
#   pixels of 0.1 mm, missed: 100.0 20.0 ; 50.0 20.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 h5py==3.16.0 \
  simpleitk==2.5.7 scikit-image==0.26.0 pillow==13.0.0 torch==2.13.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps pymic==0.6.2
venv/bin/python -W ignore - <<'PY'
import numpy as np
from pymic.util.evaluation_seg import binary_assd, binary_hd95, get_class_evaluation_score

truth = np.zeros((512, 512), np.uint8)
truth[100:130, 100:130] = 1
FOUND = {
    '10 pixels away': np.roll(truth, 10, 1),
    '80 pixels away': np.roll(truth, 80, 1),
    '300 pixels away': np.roll(truth, 300, 1),
    'missed': np.zeros_like(truth),
}


def scores(found, size):
    spacing = [size, size]
    functions = [binary_hd95(found, truth, spacing), binary_assd(found, truth, spacing)]
    evaluation = [get_class_evaluation_score(found, truth, 1, spacing, metric) for metric in ('hd95', 'assd')]
    return [[round(float(value), 1) for value in values] for values in (functions, evaluation)]


print('HD95 and ASSD by binary_hd95 and binary_assd; by get_class_evaluation_score')
results = {}
for size in (1, 0.1):
    for name, found in FOUND.items():
        functions, evaluation = results[size, name] = scores(found, size)
        print(f'pixels of {size} mm, {name}:', *functions, ';', *evaluation)
assert results[1, '10 pixels away'][0] == results[1, '10 pixels away'][1]
assert all(results[1, name][1] == [50, 20] for name in ('80 pixels away', '300 pixels away', 'missed'))
assert results[1, '300 pixels away'][0][0] == 300
assert results[1, 'missed'][0] == results[0.1, 'missed'][0] == [100, 20]
assert results[0.1, '300 pixels away'] == [[30, 28.5], [30, 20]]
PY
