#!/usr/bin/env bash
# Pingouin rounds confidence intervals to two decimals, which can reduce an interval for Dice to [0, 0].
#
# Expected: ttest gives the interval as it gives T, p and the effect: as computed, to be rounded when it is printed.
# Happens: the numbers themselves are rounded, before they are returned. A gain of 0.003 in Dice, certain to T = 8.7,
#   has the interval [0, 0], and one of 0.004 to 0.014 reads as "not significant" with a p of 0.0005. compute_bootci
#   rounds too, as its help says. The help of ttest does not mention it; the option 'round.column.CI95' turns it off.
#   Known and closed: pingouin's issues 321 and 376.
# Versions: Pingouin 0.7.0, SciPy 1.17.1, NumPy 2.4.6, pandas 3.1.1.
# Why it matters: Dice lies within 0 and 1, and methods differ in the third decimal. The interval that reviewers ask for
#   becomes a column of zeros in the table.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   gain 0.003: p 6e-15, SciPy [0.0023, 0.0037], ttest [0.0, 0.0], compute_bootci [0.0, 0.0]
#   gain 0.009: p 0.0005, SciPy [0.004, 0.014], ttest [0.0, 0.01], compute_bootci [0.0, 0.01]
#   gain 0.003: p 6e-15, SciPy [0.0023, 0.0037], ttest [0.0023010585343433685, 0.003698941465656625], compute_bootci [0.0, 0.0]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 pingouin==0.7.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
import pingouin
from scipy import stats

rng = np.random.default_rng(0)


def intervals(gain, spread):
    """The interval of the mean gain in Dice of 200 images: SciPy's and Pingouin's."""
    noise = rng.normal(0, 1, 200)
    gains = gain + spread * (noise - noise.mean()) / noise.std()
    base = rng.uniform(0.6, 0.8, 200)
    theirs = stats.ttest_rel(base + gains, base)
    exact = [round(float(end), 4) for end in theirs.confidence_interval()]
    found = pingouin.ttest(base + gains, base, paired=True)
    made = [float(end) for end in found['CI95'].iloc[0]]
    assert np.isclose(float(found['p_val'].iloc[0]), theirs.pvalue, rtol=1e-3, atol=0)
    boot = [float(end) for end in pingouin.compute_bootci(gains, func='mean', seed=1)]
    print(f'gain {gain}: p {theirs.pvalue:.1g}, SciPy {exact}, ttest {made}, compute_bootci {boot}')
    return exact, made, boot


exact, made, boot = intervals(0.003, 0.005)
assert exact[0] > 0.002 and made == boot == [0, 0]
exact, made, boot = intervals(0.009, 0.036)
assert exact[0] > 0.003 and made == [0, 0.01]
pingouin.options['round.column.CI95'] = None
exact, made, boot = intervals(0.003, 0.005)
assert np.allclose(made, exact, atol=1e-4) and boot == [0, 0]
PY
