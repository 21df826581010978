#!/usr/bin/env bash
# MONAI's VarianceMetric is highest where a network is most confident and all its repeats agree.
#
# Expected: the variance over repeats (dropout, an ensemble) is 0 where all repeats agree, and largest where
#   some say lesion and others do not. It is made to choose what to annotate next.
# Happens: repeats and channels are merged into one axis, and the variance is computed over both. With the two channels
#   of a softmax equal maps of 1 and 0 have 0.25, the largest value there is, as have maps of which half say the
#   opposite; maps of 0.5 and 0.5 have 0. include_background=False, which leaves one channel, is right. The help does
#   not say which to take, and the default is True. No message.
# Versions: monai 1.6.1, torch 2.13.0, NumPy 2.4.6.
# Why it matters: images with the highest value are sent to be annotated, and a map of uncertainty is drawn. Both show
#   where the network is certain.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   variance: of two channels, without the background, by hand
#   always 1: 0.25 0.0 0.0
#   always 0.9: 0.16 0.0 0.0
#   always 0.5: 0.0 0.0 0.0
#   0.4 or 0.6: 0.01 0.01 0.01
#   1 or 0: 0.25 0.25 0.25
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 monai==1.6.1
venv/bin/python -W ignore - <<'PY'
import torch
from monai.metrics import VarianceMetric


def variances(name, *lesion):
    """Mean variance of repeats with these probabilities of lesion: MONAI's, by one channel, by hand."""
    p = torch.tensor(lesion)
    maps = torch.stack([1 - p, p], 1)[:, :, None, None].expand(-1, 2, 16, 16)
    metrics = VarianceMetric(scalar_reduction='mean'), VarianceMetric(scalar_reduction='mean', include_background=False)
    values = [float(metric(maps.clone())) for metric in metrics] + [float(p.var(unbiased=False))]
    values = [round(value, 3) for value in values]
    print(f'{name}:', *values)
    return values


print('variance: of two channels, without the background, by hand')
assert variances('always 1', *[1.0] * 6) == [0.25, 0, 0]
assert variances('always 0.9', *[0.9] * 6) == [0.16, 0, 0]
assert variances('always 0.5', *[0.5] * 6) == [0, 0, 0]
assert variances('0.4 or 0.6', *[0.4, 0.6] * 3) == [0.01, 0.01, 0.01]
assert variances('1 or 0', *[1.0, 0.0] * 3) == [0.25, 0.25, 0.25]
PY
