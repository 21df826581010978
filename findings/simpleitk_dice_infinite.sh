#!/usr/bin/env bash
# SimpleITK's Dice of an empty prediction for an empty mask is infinity.
#
# Expected: 1, 0, NaN or an error.
# Happens: LabelOverlapMeasuresImageFilter gives inf for Dice and 1.8e308, the largest finite number, for Jaccard. The
#   mean over images is inf or as large. A filter for NaN removes neither value, and a filter for inf does not remove
#   the second.
# Versions: SimpleITK 2.5.7, NumPy 2.4.6.
# Why it matters: every correctly predicted image without a lesion does this.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: 1, 0, NaN or an error
#   happened, both empty: Dice and Jaccard (inf, 1.7976931348623157e+308)
#   mean Dice with an image that is right: inf
#   missed lesion: (0.0, 0.0)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 SimpleITK==2.5.7
venv/bin/python -W ignore - <<'PY'
import numpy as np
import SimpleITK as sitk


def measures(truth, prediction):
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk.GetImageFromArray(m) for m in (truth, prediction)))
    return overlap.GetDiceCoefficient(), overlap.GetJaccardCoefficient()


empty = np.zeros((6, 6), np.uint8)
lesion = empty.copy()
lesion[1:3, 1:3] = 1
both_empty, right = measures(empty, empty), measures(lesion, lesion)
print('expected: 1, 0, NaN or an error')
print('happened, both empty: Dice and Jaccard', both_empty)
print('mean Dice with an image that is right:', np.nanmean([both_empty[0], right[0]]))
missed = measures(lesion, empty)
print('missed lesion:', missed)
assert both_empty[0] == float('inf') and 1e300 < both_empty[1] < float('inf')
assert right == (1.0, 1.0) and missed == (0.0, 0.0)
PY
