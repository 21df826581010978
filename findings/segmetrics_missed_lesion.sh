#!/usr/bin/env bash
# seg-metrics returns a Hausdorff distance of 0 for a completely missed lesion, the same as for a perfect prediction.
#
# Expected: the distance to a prediction that is empty is infinite, NaN, or a large number by convention.
# Happens: hd, hd95, msd (mean) and mdsd (median) are all 0.0, the best value there is. The same where a lesion is
#   predicted in a healthy image. The logged warning mentions only precision and recall, and the package's page does not
#   mention empty masks.
# Versions: seg-metrics 1.2.8, SimpleITK 2.5.7, NumPy 2.4.6.
# Why it matters: the mean distance over a test set falls with every lesion that is missed. A model
#   that finds nothing has a mean distance of 0.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   dice hd hd95 msd mdsd
#   found as it is: 1.0 0.0 0.0 0.0 0.0
#   found 5 pixels aside: 0.5 5.0 5.0 2.5 2.5
#   missed: 0.0 0.0 0.0 0.0 0.0
#   healthy, one found: 0.0 0.0 0.0 0.0 0.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 simpleitk==2.5.7 pandas==3.1.1 seg-metrics==1.2.8
venv/bin/python -W ignore - <<'PY'
import numpy as np
from seg_metrics.seg_metrics import write_metrics

NAMES = ('dice', 'hd', 'hd95', 'msd', 'mdsd')
empty = np.zeros((40, 40), np.uint8)
truth = empty.copy()
truth[5:15, 5:15] = 1


def scores(name, truth, found):
    result = write_metrics(labels=[1], gdth_img=truth, pred_img=found, metrics=list(NAMES))[0]
    values = [round(float(result[key][0]), 2) for key in NAMES]
    print(f'{name}:', *values)
    return values


print(*NAMES)
assert scores('found as it is', truth, truth) == [1, 0, 0, 0, 0]
assert scores('found 5 pixels aside', truth, np.roll(truth, 5, 1)) == [0.5, 5, 5, 2.5, 2.5]
assert scores('missed', truth, empty) == [0, 0, 0, 0, 0]
assert scores('healthy, one found', empty, truth) == [0, 0, 0, 0, 0]
PY
