#!/usr/bin/env bash
# evalutils returns an accuracy of 0 for a label map with a single wrong pixel.
#
# Expected: accuracies_from_confusion_matrix gives the accuracy of each class: 0.9998 where one pixel of 4096 is wrong.
# Happens: it divides with `//`, which drops the decimals: the accuracy is 1 for a class without any error, and 0
#   otherwise. Dice from the same matrix is right. No message.
# Versions: evalutils 0.4.2 (0.6.0 on PyPI holds no code), NumPy 2.4.6, SciPy 1.17.1.
# Why it matters: the package computes the scores of challenges of medical images. Averaged over images, the accuracy is the
#   share of images without any error, and looks like one of a weak model.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   background, lesion, instrument: accuracy, by hand, Dice
#   perfect: 1.0 1.0 1.0 - 1.0 1.0 1.0 - 1.0 1.0 1.0
#   one pixel wrong: 0.0 0.0 1.0 - 0.9998 0.9998 1.0 - 0.9999 0.9987 1.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 evalutils==0.4.2
venv/bin/python -W ignore - <<'PY'
import numpy as np
from evalutils import stats

truth = np.zeros((64, 64), int)
truth[10:30, 10:30] = 1
truth[40:50, 40:60] = 2
one_wrong = truth.copy()
one_wrong[10, 10] = 0


def scores(name, found):
    matrix = stats.calculate_confusion_matrix(truth, found, [0, 1, 2])
    accuracy = stats.accuracies_from_confusion_matrix(matrix)
    by_hand = [np.mean((truth == label) == (found == label)) for label in range(3)]
    dice = stats.dice_from_confusion_matrix(matrix)
    values = [[round(float(x), 4) for x in row] for row in (accuracy, by_hand, dice)]
    print(f'{name}:', ' - '.join(' '.join(map(str, row)) for row in values))
    return values


print('background, lesion, instrument: accuracy, by hand, Dice')
assert scores('perfect', truth) == [[1, 1, 1]] * 3
assert scores('one pixel wrong', one_wrong) == [[0, 0, 1], [0.9998, 0.9998, 1], [0.9999, 0.9987, 1]]
PY
