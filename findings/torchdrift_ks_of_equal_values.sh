#!/usr/bin/env bash
# TorchDrift reports drift between two samples of one ReLU feature, because it counts tied values one by one.
#
# Expected: KSDriftDetector has the statistic of Kolmogorov and Smirnov, the largest distance of two distribution
#   functions, and for two samples of one distribution p below 0.05 in at most 5 % of all cases.
# Happens: both samples are sorted together, and the distance is taken after each value, within runs of equal ones, too.
#   Equal values have no defined order, so that all of one sample may come before all of the other: features of one
#   distribution that are 0 in half of all cases have p 0.0002, in five of six cases 1e-57, and one that is always 0 has
#   the distance 1 and p 0. SciPy's p is near 1 for all three. For distinct values the two agree. No message.
# Versions: torchdrift 0.1.0.post1, torch 2.13.0, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: the features that are compared between hospitals come from a ReLU, and most of them are 0 for
#   most images. The p value of a model is that of its worst feature: drift is found everywhere, also between two
#   halves of one hospital.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   two samples of one distribution; expected: the distance and p of SciPy
#   all different: distance 0.105, p 0.22; SciPy 0.105, 0.22
#   after a ReLU, half are 0: distance 0.215, p 0.00018; SciPy 0.040, 1
#   after a ReLU, five of six are 0: distance 0.765, p 8.9e-58; SciPy 0.025, 1
#   always 0: distance 1.000, p 0; SciPy 0.000, 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 tqdm torch==2.13.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps torchdrift==0.1.0.post1
venv/bin/python -W ignore - <<'PY'
import torch
from scipy.stats import ks_2samp
from torchdrift.detectors import KSDriftDetector

torch.manual_seed(0)
FEATURES = {
    'all different': lambda: torch.randn(200, 1),
    'after a ReLU, half are 0': lambda: torch.randn(200, 1).relu(),
    'after a ReLU, five of six are 0': lambda: (torch.randn(200, 1) - 1).relu(),
    'always 0': lambda: torch.zeros(200, 1),
}


def tested(feature):
    """The distance and p of two samples of one distribution: TorchDrift's and SciPy's."""
    one, other = feature(), feature()
    detector = KSDriftDetector()
    detector.fit(one)
    exact = ks_2samp(one[:, 0].numpy(), other[:, 0].numpy())
    return float(detector(other)), float(detector.compute_p_value(other)), float(exact.statistic), exact.pvalue


results = {name: tested(feature) for name, feature in FEATURES.items()}
print('two samples of one distribution; expected: the distance and p of SciPy')
for name, (distance, p, exact, exact_p) in results.items():
    print(f'{name}: distance {distance:.3f}, p {p:.2g}; SciPy {exact:.3f}, {exact_p:.2g}')
distance, p, exact, exact_p = results.pop('all different')
assert abs(distance - exact) < 1e-6 and abs(p - exact_p) < 1e-6 and p > 0.05
assert all(exact_p > 0.5 for _, _, _, exact_p in results.values())
assert results['after a ReLU, five of six are 0'][1] < 1e-10
assert results['always 0'][:2] == (1, 0)
PY
