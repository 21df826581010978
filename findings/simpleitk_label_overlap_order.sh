#!/usr/bin/env bash
# SimpleITK's overlap measures treat the second image as truth: with the truth first, error rates are swapped.
#
# Expected: of LabelOverlapMeasuresImageFilter.Execute(truth, prediction) the false negative error is the share of
#   the lesion that was missed, the false positive error that of healthy pixels that were called lesion.
# Happens: they are those of Execute(prediction, truth). With the truth first the false negative error is the share of
#   the prediction that is wrong, and the false discovery rate the share of the lesion that was missed. The parameters
#   are called source and target image. Dice and Jaccard are the same in either order, the volume similarity changes
#   its sign. Known: issue 344 of SimpleITK's notebooks, which had the truth first.
# Versions: SimpleITK 2.5.7, NumPy 2.4.6.
# Why it matters: nine of ten public scripts that were inspected pass the truth first, as for other measures. A model
#   that misses nothing and marks too much is reported to miss half of the lesion.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   nothing missed, as much again too much; expected: missed 0.0, false 0.01, of the prediction false 0.5
#   Execute(truth, prediction): missed 0.5, false 0.0, of the prediction false 0.0, Dice 0.667
#   Execute(prediction, truth): missed 0.0, false 0.01, of the prediction false 0.5, Dice 0.667
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 simpleitk==2.5.7
venv/bin/python - <<'PY'
import numpy as np
import SimpleITK as sitk

truth = np.zeros((100, 100), np.uint8)
truth[20:30, 20:30] = 1
prediction = truth.copy()
prediction[20:30, 30:40] = 1
healthy = (truth == 0).sum()
missed = ((truth == 1) & (prediction == 0)).sum() / truth.sum()
false = ((truth == 0) & (prediction == 1)).sum()
expected = [round(float(value), 3) for value in (missed, false / healthy, false / prediction.sum())]


def measures(first, second):
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(sitk.GetImageFromArray(first), sitk.GetImageFromArray(second))
    values = overlap.GetFalseNegativeError(1), overlap.GetFalsePositiveError(1), overlap.GetFalseDiscoveryRate(1)
    return [round(value, 3) for value in values], round(overlap.GetDiceCoefficient(1), 3)


def say(name, values, dice):
    print(f'{name}: missed {values[0]}, false {values[1]}, of the prediction false {values[2]}, Dice {dice}')


print('nothing missed, as much again too much; expected: missed {}, false {}, of the prediction false {}'.format(*expected))
truth_first, truth_second = measures(truth, prediction), measures(prediction, truth)
say('Execute(truth, prediction)', *truth_first)
say('Execute(prediction, truth)', *truth_second)
assert truth_second == (expected, 0.667)
assert truth_first == ([0.5, 0, 0], 0.667)
PY
