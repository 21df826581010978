#!/usr/bin/env bash
# MedPy's true positive rate of lesions is 1 when three of four were missed.
#
# Expected: obj_tpr(result, reference) is the share of true lesions that are found, obj_fpr the share of
#   found ones that are false: "a perfect score of 1 tells that all objects in the reference array
#   also exist in the result array", and the reference is passed second.
# Happens: the two masks are swapped internally. If one of four lesions is found, the true positive rate is 1.0 and the
#   false positive rate 0.75; if one lesion is found beside three false alarms, they are 0.25 and 0.0. The first is
#   precision, the second the share of missed lesions. The note in the help states the one behaviour, the examples below
#   it show the other.
# Versions: MedPy 0.5.2, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: a model that misses most polyps gets the best rate, one that reports too much the
#   worst. Measures of pixels in the same module are right. Pass the reference first.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   1 true, found with 3 false alarms: expected (1.0, 0.75), happened (0.25, 0.0)
#   4 true, 1 of them found: expected (0.25, 0.0), happened (1.0, 0.75)
#   2 true, both found: (1.0, 0.0)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 MedPy==0.5.2
venv/bin/python -W ignore - <<'PY'
import numpy as np
from medpy.metric.binary import obj_fpr, obj_tpr

PLACES = [(5, 5), (5, 20), (20, 5), (20, 20)]


def lesions(count):
    mask = np.zeros((40, 40), bool)
    for row, column in PLACES[:count]:
        mask[row : row + 4, column : column + 4] = True
    return mask


def rates(found, true):
    return obj_tpr(lesions(found), lesions(true)), obj_fpr(lesions(found), lesions(true))


print('1 true, found with 3 false alarms: expected (1.0, 0.75), happened', rates(4, 1))
print('4 true, 1 of them found: expected (0.25, 0.0), happened', rates(1, 4))
print('2 true, both found:', rates(2, 2))
assert rates(4, 1) == (0.25, 0)
assert rates(1, 4) == (1, 0.75)
assert rates(2, 2) == (1, 0)
note = ' '.join(obj_tpr.__doc__.split())
assert 'reference should be passed second' in note
assert 'binary objects in the reference array also exist in the result array' in note
PY
