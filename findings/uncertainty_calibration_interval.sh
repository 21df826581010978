#!/usr/bin/env bash
# uncertainty-calibration reads alpha=0.1 as 0.1 per cent: its 90 % interval is almost the range of all resamples.
#
# Expected: get_calibration_error_uncertainties(probs, labels, alpha=0.1) gives "1-alpha confidence intervals
#   produced by bootstrap resampling", so an interval of 90 %.
# Happens: alpha reaches a function that takes it in per cent: the ends are the 0.05th and the 99.95th percentile
#   of 100 resamples, next to the smallest and the largest of them. The default is 0.1, and 0.05 gives the same within
#   a fiftieth of its width. alpha=10 gives the 90 % interval, here two fifths as wide. No message.
# Versions: uncertainty-calibration 0.1.4, scikit-learn 1.9.1, NumPy 2.4.6.
# Why it matters: whether a network is calibrated at a new hospital is read from whether the interval of its error is
#   above that elsewhere. An interval this wide hides real differences.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   90 %, written out: 0.0804 to 0.0945, width 0.0140
#   all resamples, written out: 0.0738 to 0.1106, width 0.0368
#   alpha=0.1: 0.0739 to 0.1099, width 0.0360
#   alpha=0.05: 0.0739 to 0.1103, width 0.0364
#   alpha=10: 0.0804 to 0.0945, width 0.0140
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scikit-learn==1.9.1 uncertainty-calibration==0.1.4
venv/bin/python -W ignore - <<'PY'
import calibration
import numpy as np

generator = np.random.default_rng(0)
# Too sure by a tenth, in eight thousand pixels.
truth = generator.uniform(0.1, 0.9, 8000)
labels = (generator.random(8000) < truth).astype(int)
probabilities = np.clip(truth + 0.1 * np.sign(truth - 0.5), 0, 1)


def interval(**alpha):
    np.random.seed(0)
    low, _, high = calibration.get_calibration_error_uncertainties(probabilities, labels, p=1, **alpha)
    return np.array([low, high])


def percentiles(share):
    """The same interval, written out from the same resamples."""
    np.random.seed(0)
    error = calibration.get_calibration_error(probabilities, labels, p=1, debias=False)
    drawn = []
    for _ in range(100):
        chosen = np.random.choice(list(range(8000)), size=8000, replace=True)
        drawn.append(calibration.get_calibration_error(probabilities[chosen], labels[chosen], p=1, debias=False))
    ends = np.percentile(drawn, [100 - 100 * (1 - share) / 2, 100 * (1 - share) / 2])
    return 2 * error - ends, 2 * error - np.array([max(drawn), min(drawn)])


def line(name, ends):
    print(f'{name}: {ends[0]:.4f} to {ends[1]:.4f}, width {ends[1] - ends[0]:.4f}')


right, whole = percentiles(0.9)
found = {alpha: interval(alpha=alpha) for alpha in (0.1, 0.05, 10)}
line('90 %, written out', right)
line('all resamples, written out', whole)
for alpha, ends in found.items():
    line(f'alpha={alpha}', ends)
assert np.allclose(interval(), found[0.1])
assert np.allclose(found[10], right)
widths = {alpha: float(np.ptp(ends)) for alpha, ends in found.items()}
assert abs(widths[0.1] - np.ptp(whole)) < 0.03 * np.ptp(whole)
assert abs(widths[0.1] - widths[0.05]) < 0.03 * widths[0.1]
assert widths[0.1] > 1.3 * widths[10]
PY
