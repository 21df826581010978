#!/usr/bin/env bash
# MONAI's FROC score of a perfect detector is 0 if all its detections have the same probability.
#
# Expected: the curve ends where every detection counts: three lesions, all found and no false alarm, have a
#   sensitivity of 1 and a FROC score of 1.
# Happens: compute_froc_curve_data uses the distinct probabilities as thresholds and leaves out the lowest. Detections
#   with that probability never count: if each lesion is found at 1.0, the score is 0; at 0.9, 0.8, 0.7 it is 0.667. One
#   false alarm with a still lower probability makes it 1. Its help says that it is modified from the evaluation of the
#   CAMELYON 16 challenge, and says nothing about the lowest probability.
# Versions: monai 1.6.1, torch 2.13.0, NumPy 2.4.6.
# Why it matters: detections that are made from masks have a probability of 1, and those above a threshold
#   few distinct ones after rounding. A model is punished for having no false alarms.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   three lesions in three images, all found; expected: a score of 1
#   at 0.9, 0.8, 0.7, and a false alarm at 0.1: score 1.0, highest sensitivity 1.0
#   at 1.0, and a false alarm at 0.1: score 1.0, highest sensitivity 1.0
#   at 0.9, 0.8, 0.7, no false alarm: score 0.667, highest sensitivity 0.667
#   at 1.0, no false alarm: score 0.0, highest sensitivity 0.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 monai==1.6.1
venv/bin/python -W ignore - <<'PY'
import numpy as np
from monai.metrics import compute_froc_curve_data, compute_froc_score


def score(name, found, false_alarms=()):
    """FROC score, and the highest sensitivity of the curve, of three lesions in three images."""
    alarms, hits = (np.array(values, float) for values in (false_alarms, found))
    per_image, sensitivity = compute_froc_curve_data(alarms, hits, num_targets=3, num_images=3)
    result = [float(compute_froc_score(per_image, sensitivity)), float(sensitivity.max())]
    result = [round(value, 3) for value in result]
    print(f'{name}: score {result[0]}, highest sensitivity {result[1]}')
    return result


print('three lesions in three images, all found; expected: a score of 1')
assert score('at 0.9, 0.8, 0.7, and a false alarm at 0.1', [0.9, 0.8, 0.7], [0.1]) == [1, 1]
assert score('at 1.0, and a false alarm at 0.1', [1, 1, 1], [0.1]) == [1, 1]
assert score('at 0.9, 0.8, 0.7, no false alarm', [0.9, 0.8, 0.7]) == [0.667, 0.667]
assert score('at 1.0, no false alarm', [1, 1, 1]) == [0, 0]
PY
