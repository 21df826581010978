#!/usr/bin/env bash
# confidence-intervals draws the same images of every patient: an interval depends on the order of the images.
#
# Expected: with conditions=patients the bootstrap draws patients, and then images of each of them, independently. The
#   order in which the images of a patient are listed does not affect the interval of a mean.
# Happens: every patient is resampled with the same seed, so that for all patients with equally many images the same
#   positions are drawn: the first image twice, or the second one twice, for all of them. Where the first image of each
#   patient is the harder one, the interval is five times as wide as it should be. If the order is swapped for every
#   second patient, it is nearly correct. Without conditions it is as expected. No message.
# Versions: confidence-intervals 0.0.3, scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: the images of a patient are listed in a meaningful order, such as white light before narrow band, or
#   by the time of the frame. A real gain is then lost in the interval.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   by hand: 0.72 to 0.781
#   white light first: 0.596 to 0.907
#   swapped in every second patient: 0.711 to 0.782
#   without patients: 0.721 to 0.783
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 confidence-intervals==0.0.3
venv/bin/python -W ignore - <<'PY'
import numpy as np
from confidence_intervals import evaluate_with_conf_int

generator = np.random.default_rng(0)
# Dice of two images of each of 50 patients: near 0.6 in white light, near 0.9 in narrow band.
dice = np.array([0.6, 0.9]) + 0.02 * generator.standard_normal((50, 2))
patients = np.repeat(np.arange(50), 2)
swapped = np.where(np.arange(50)[:, None] % 2, dice[:, ::-1], dice)

# By hand: patients with replacement, and of each one as many images as there are, with replacement.
drawn = generator.integers(0, 50, (4000, 50, 1))
by_hand = np.percentile(dice[drawn, generator.integers(0, 2, (4000, 50, 2))].mean((1, 2)), [2.5, 97.5])


def interval(name, low_high):
    low, high = (round(float(limit), 3) for limit in low_high)
    print(f'{name}: {low} to {high}')
    return high - low


def bootstrap(scores, conditions=None):
    return evaluate_with_conf_int(scores.ravel(), np.mean, conditions=conditions)[1]


right = interval('by hand', by_hand)
same = interval('white light first', bootstrap(dice, patients))
mixed = interval('swapped in every second patient', bootstrap(swapped, patients))
alone = interval('without patients', bootstrap(dice))
assert same > 4 * right
assert mixed < 1.5 * right
assert alone < 1.5 * right
PY
