#!/usr/bin/env bash
# netcal counts the bins that its sample_threshold excludes as perfectly calibrated.
#
# Expected: bins with fewer samples than the threshold are excluded from the metric, as the help says: the calibration
#   error is that of the other bins.
# Happens: the error of such a bin is set to 0, and the bin is still counted: ACE is divided by all bins that are not
#   empty, ECE by all samples. Of ten bins with an error of 0.3 each, nine have 100 samples: with sample_threshold=200
#   ACE is 0.03 and not 0.3, ECE 0.158 and not 0.3. The more bins fall below it, the better the model. MCE, the largest
#   error, is as expected. No message.
# Versions: netcal 1.4.0, torch 2.13.0, scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: most pixels are surely background, and the bins between are small. The option is meant to make the
#   error robust. Instead it makes the error small, and small test sets look best.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   sample_threshold: ACE, ECE, MCE
#   1: 0.3 0.3 0.3
#   200: 0.03 0.158 0.3
#   the large bin alone: 0.3 0.3 0.3
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
# Without what netcal's other parts need: matplotlib, TensorBoard, Pyro and GPyTorch.
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 torch==2.13.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps netcal==1.4.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from netcal.metrics import ACE, ECE, MCE

# Ten bins of one probability each, of which each is 0.3 too low or too high. The first has 1000 samples, the others 100.
probabilities, lesion = [], []
for index in range(10):
    said = index / 10 + 0.05
    true = said + 0.3 if said < 0.5 else said - 0.3
    count = 1000 if index == 0 else 100
    probabilities.append(np.full(count, said))
    lesion.append((np.arange(count) < round(true * count)).astype(int))


def errors(name, chosen, threshold):
    said, is_lesion = np.concatenate(probabilities[chosen]), np.concatenate(lesion[chosen])
    values = [
        round(float(metric(10, sample_threshold=threshold).measure(said, is_lesion)), 3) for metric in (ACE, ECE, MCE)
    ]
    print(f'{name}:', *values)
    return values


print('sample_threshold: ACE, ECE, MCE')
assert errors('1', slice(None), 1) == [0.3, 0.3, 0.3]
assert errors('200', slice(None), 200) == [0.03, 0.158, 0.3]
assert errors('the large bin alone', slice(1), 200) == [0.3, 0.3, 0.3]
PY
