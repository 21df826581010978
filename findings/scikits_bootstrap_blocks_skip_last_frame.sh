#!/usr/bin/env bash
# scikits.bootstrap's moving blocks never contain the last frame.
#
# Expected: bootstrap_indices_moving_block(frames, block_length=3) draws blocks from all places within the data, the
#   last of which starts at L - block_length, as the help says. A sample of 10 frames contains frame 0 0.5 times and
#   frame 9 0.38 times, on average: the ends are in fewer blocks than the middle.
# Happens: the last start is L - block_length - 1: in 10,000 samples frame 9 never occurs, and frame 0 0.58 times. With
#   a block length of 1, an ordinary bootstrap, frame 9 is missing too. With wrap=True it is as expected. No message.
# Versions: scikits.bootstrap 1.1.1, NumPy 2.4.6.
# Why it matters: blocks are the way to get an interval from frames of a video, of which neighbours are alike. Of ten
#   frames, of which the model misses the lesion in the last one, the mean Dice of every sample is 0.9: the interval has
#   no width and does not contain the mean of the frames, 0.81.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   draws of each frame, expected: 0.5 0.88 1.25 1.25 1.25 1.25 1.25 1.25 0.75 0.38
#   draws of each frame, happened: 0.58 1.0 1.44 1.43 1.43 1.44 1.42 0.84 0.42 0.0
#   blocks of one frame, happened: 1.12 1.1 1.11 1.12 1.11 1.12 1.12 1.11 1.1 0.0
#   wrapped, expected and happened: 1.0 1.0 1.0 1.0 1.0 1.0 1.01 1.0 1.0 0.98
#   mean of the frames 0.81 - interval 0.90 to 0.90
#   interval by wrapped blocks 0.63 to 0.90
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scikits.bootstrap==1.1.1
venv/bin/python -W ignore - <<'PY'
import numpy as np
from scikits.bootstrap import bootstrap_indices_moving_block

dice = np.array([0.9] * 9 + [0.0])


def draws(**options):
    """How often each of ten frames is drawn per sample of ten."""
    samples = list(bootstrap_indices_moving_block(dice, 10_000, seed=0, **options))
    counts = np.bincount(np.concatenate(samples), minlength=10) / 10_000
    return counts, np.array([dice[rows].mean() for rows in samples])


# Blocks of three start at 0 to 7. Three and a third of them fill ten places: the fourth gives its first frame only.
starts = np.arange(8)[:, None]
within = (starts <= np.arange(10)) & (np.arange(10) < starts + 3)
expected = within.sum(axis=0) * 3 / 8 + (np.arange(10) < 8) / 8
print('draws of each frame, expected:', *expected.round(2))
inside, means = draws(block_length=3)
print('draws of each frame, happened:', *inside.round(2))
single, _ = draws(block_length=1)
print('blocks of one frame, happened:', *single.round(2))
wrapped, wrapped_means = draws(block_length=3, wrap=True)
print('wrapped, expected and happened:', *wrapped.round(2))
low, high = np.percentile(means, [2.5, 97.5])
print(f'mean of the frames {dice.mean():.2f} - interval {low:.2f} to {high:.2f}')
low_wrapped, high_wrapped = np.percentile(wrapped_means, [2.5, 97.5])
print(f'interval by wrapped blocks {low_wrapped:.2f} to {high_wrapped:.2f}')
assert abs(expected.sum() - 10) < 1e-9 and expected[9] == 3 / 8
assert inside[9] == single[9] == 0 and (inside[:9] > 0.3).all() and (single[:9] > 1.05).all()
assert (abs(wrapped - 1) < 0.05).all()
assert low == high and abs(low - 0.9) < 1e-9 and low_wrapped < dice.mean() < high_wrapped
PY
