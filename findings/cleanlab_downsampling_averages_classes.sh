#!/usr/bin/env bash
# cleanlab downsamples label maps by the mean of class numbers: which labels are wrong depends on the numbering.
#
# Expected: segmentation.filter.find_label_issues(labels, pred_probs, downsample=2) works on a smaller map of the same
#   classes, "potentially less accurate", and equally well for every numbering of the classes.
# Happens: class numbers of a block are averaged and rounded, so that a block of half class 0 and half class 2 becomes
#   class 1, which is not there. Such blocks enter the statistics of class 1. Without downsampling 37 of 64 wrong pixels
#   are found, for every numbering; downsample=2 finds 8, 32 or 36, and 4 finds 12, 21 or 49, depending only on the
#   numbering. No message.
# Versions: cleanlab 2.9.0, scikit-learn 1.9.1, NumPy 2.4.6.
# Why it matters: it is meant to find lesions that an annotator missed, and masks are large. How many it finds depends
#   on the order of the classes in a config.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   numbers of background, polyp, instrument: wrong pixels found of 64
#   (0, 1, 2): 37; downsample=2: 32; downsample=4: 12
#   (0, 2, 1): 37; downsample=2: 8; downsample=4: 21
#   (1, 0, 2): 37; downsample=2: 36; downsample=4: 49
#   (1, 2, 0): 37; downsample=2: 36; downsample=4: 49
#   (2, 0, 1): 37; downsample=2: 8; downsample=4: 21
#   (2, 1, 0): 37; downsample=2: 32; downsample=4: 12
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scikit-learn==1.9.1 cleanlab==2.9.0
venv/bin/python -W ignore - <<'PY'
from itertools import permutations

import numpy as np
from cleanlab.segmentation.filter import find_label_issues

# Background, a polyp, an instrument; outlines do not lie on blocks of 2 x 2 pixels.
true = np.zeros((6, 32, 32), int)
true[:, 5:17, 5:17] = 1
true[:, 20:30, 4:28] = 2
labels = true.copy()
labels[0, 7:15, 7:15] = 0  # missed by the annotator
generator = np.random.default_rng(0)
probabilities = np.stack([np.where(true == number, 0.9, 0.05) for number in range(3)], axis=1)
probabilities += generator.uniform(0, 0.02, probabilities.shape)
probabilities /= probabilities.sum(axis=1, keepdims=True)


def found(numbers, factor):
    """How many of the wrong pixels, if class k has the number numbers[k]."""
    named = np.array(numbers)[labels]
    moved = np.empty_like(probabilities)
    moved[:, list(numbers)] = probabilities
    issues = find_label_issues(named, moved, downsample=factor, n_jobs=1, verbose=False)
    assert not (issues & (labels == true)).any()
    return int(issues.sum())


print('numbers of background, polyp, instrument: wrong pixels found of', (labels != true).sum())
counts = {numbers: [found(numbers, factor) for factor in (1, 2, 4)] for numbers in permutations(range(3))}
for numbers, each in counts.items():
    print(f'{numbers}: {each[0]}; downsample=2: {each[1]}; downsample=4: {each[2]}')
whole, half, quarter = (set(column) for column in zip(*counts.values()))
assert whole == {37}
assert half == {8, 32, 36}
assert quarter == {12, 21, 49}
# Where both ends of the numbers trade places, means are the same: the middle class is what counts.
assert all(each == counts[tuple(2 - n for n in numbers)] for numbers, each in counts.items())
PY
