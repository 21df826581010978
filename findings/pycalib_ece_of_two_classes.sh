#!/usr/bin/env bash
# PyCalib's calibration error of two classes is 0.25 for a network without any error, and for its inverse.
#
# Expected: ECE(labels, probabilities) is 0 where every label has the probability 1, and 1 where it has 0,
#   whatever the number of classes and the order of the rows.
# Happens: of two classes the labels are turned into one column and the probabilities stay in two, row by row. Both are
#   flattened and paired by place: half the probabilities meet the label of another row, the other half none at all. The
#   result is near 0.25 for perfect and for inverted predictions, 0.12 for calibrated ones, and depends on the order of
#   the rows. Three classes are right, and so are classwise_ECE and conf_ECE of two. No message.
# Versions: pycalib 0.1.0.dev6, scikit-learn 1.9.1, NumPy 2.4.6, SciPy 1.17.1.
# Why it matters: lesion and background are two classes. By this number every network looks miscalibrated, at every
#   temperature.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   ECE: PyCalib, by hand, PyCalib class by class
#   two classes, perfect: 0.25 0.0 0.0
#   two classes, perfect, other order: 0.259 0.0 0.0
#   two classes, inverted: 0.25 1.0 1.0
#   two classes, calibrated: 0.123 0.011 0.016
#   three classes, perfect: 0.0 0.0 0.0
#   three classes, each called the next: 0.667 0.667 0.667
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 pycalib==0.1.0.dev6
venv/bin/python -W ignore - <<'PY'
import numpy as np
from pycalib.metrics import ECE, classwise_ECE


def by_hand(labels, probabilities, bins=15):
    """Mean gap of probability and frequency over all pairs of a row and a class, in bins of equal width."""
    truth = np.eye(probabilities.shape[1])[labels].ravel()
    values = probabilities.ravel()
    bin_of = np.minimum((values * bins).astype(int), bins - 1)
    gaps = {k: abs(values[bin_of == k].mean() - truth[bin_of == k].mean()) for k in set(bin_of)}
    return sum(gap * (bin_of == k).mean() for k, gap in gaps.items())


def errors(name, labels, probabilities):
    one_hot = np.eye(probabilities.shape[1])[labels]
    found = ECE(labels, probabilities), by_hand(labels, probabilities), classwise_ECE(one_hot, probabilities)
    found = [round(float(value), 3) for value in found]
    print(f'{name}:', *found)
    return found


generator = np.random.default_rng(0)
labels = np.repeat([0, 1], 500)
order = generator.permutation(1000)
perfect = np.eye(2)[labels]
risk = generator.random(5000)
drawn = (generator.random(5000) < risk).astype(int)
three = np.arange(999) % 3

print('ECE: PyCalib, by hand, PyCalib class by class')
assert errors('two classes, perfect', labels, perfect) == [0.25, 0, 0]
found, *right = errors('two classes, perfect, other order', labels[order], perfect[order])
assert found not in (0, 0.25) and right == [0, 0]
assert errors('two classes, inverted', labels, 1 - perfect) == [0.25, 1, 1]
found, *right = errors('two classes, calibrated', drawn, np.stack([1 - risk, risk], 1))
assert found > 0.1 and max(right) < 0.02
assert errors('three classes, perfect', three, np.eye(3)[three]) == [0, 0, 0]
assert errors('three classes, each called the next', three, np.eye(3)[(three + 1) % 3]) == [0.667] * 3
PY
