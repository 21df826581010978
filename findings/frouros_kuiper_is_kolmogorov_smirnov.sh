#!/usr/bin/env bash
# Kuiper's test in frouros uses the Kolmogorov-Smirnov statistic.
#
# Expected: KuiperTest's statistic is the largest distance of the two distribution functions above plus the largest
#   below, so that Kuiper's test detects a change of spread as well as one of the mean. Without a change p is below 0.05
#   in one of 20 tests.
# Happens: the statistic is that of KSTest, the larger of the two distances, and its p value is taken from Kuiper's
#   distribution, where it is too small: without a change p is below 0.05 in 0 of 200 tests, and 0.84 on average. A
#   change of spread by a half is found in 32 of 200 tests, and in 195 with Kuiper's own statistic, by astropy.
# Versions: frouros 0.9.0, astropy 7.2.0, SciPy 1.14.1, NumPy 2.1.3.
# Why it matters: it is one of the tests by which a hospital's images, or a model's scores, are watched for drift.
#   It reports no drift where there is some, most of all where both tails grow, as with another device or a mixed
#   population.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   statistic, expected: 0.80, by astropy 0.80
#   statistic, happened: 0.40, of KSTest 0.40
#   no change: p below 0.05 in 0 of 200, by astropy 12; mean p 0.84 and 0.52
#   spread by half as much again: p below 0.05 in 32 of 200, by astropy 195; mean p 0.27 and 0.01
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.1.3 scipy==1.14.1 astropy==7.2.0 frouros==0.9.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from astropy.stats import kuiper_two
from frouros.detectors.data_drift import KSTest, KuiperTest


def detect(test, reference, data):
    detector = test()
    detector.fit(X=reference)
    return detector.compare(X=data)[0]


def kuiper_statistic(one, other):
    """The largest distance above plus the largest below, over all values."""
    points = np.concatenate([one, other])
    distances = [(one <= point).mean() - (other <= point).mean() for point in points]
    return max(distances) - min(distances)


narrow, wide = np.arange(40, 60) / 100, np.arange(0, 100, 5) / 100 + 0.001
statistics = [float(detect(test, narrow, wide).statistic) for test in (KuiperTest, KSTest)]
expected, astropy = kuiper_statistic(narrow, wide), kuiper_two(narrow, wide)[0]
print(f'statistic, expected: {expected:.2f}, by astropy {astropy:.2f}')
print('statistic, happened: {:.2f}, of KSTest {:.2f}'.format(*statistics))
assert np.isclose(expected, astropy) and statistics[0] == statistics[1] < 0.6 * expected
draw = np.random.default_rng(0).normal
for name, spread in (('no change', 1), ('spread by half as much again', 1.5)):
    found, right = [], []
    for _ in range(200):
        reference, data = draw(0, 1, 200), draw(0, spread, 200)
        found.append(detect(KuiperTest, reference, data).p_value)
        right.append(kuiper_two(reference, data)[1])
    below = [int((np.array(values) < 0.05).sum()) for values in (found, right)]
    means = [round(float(np.mean(values)), 2) for values in (found, right)]
    print(f'{name}: p below 0.05 in {below[0]} of 200, by astropy {below[1]}; mean p {means[0]} and {means[1]}')
    if spread == 1:
        assert below[0] <= 3 and 4 <= below[1] <= 18 and means[0] > 0.7 and 0.4 < means[1] < 0.6
    else:
        assert below[0] < below[1] / 3 and below[1] > 100
PY
