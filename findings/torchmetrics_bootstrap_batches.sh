#!/usr/bin/env bash
# torchmetrics' multinomial bootstrap reports a standard error of 0 if each batch has one image.
#
# Expected: BootStrapper gives the standard error over the images, whatever the batch size.
# Happens: sampling_strategy='multinomial', "true bootstrapping", draws within each batch. A batch of
#   one image is always drawn as itself: the standard error is 0 where it is 0.049. With batches of
#   two it is 0.034, about 0.7 of it. 'poisson', the default, is right in each case. The class's
#   help says "at the batch level to approximate", not that the interval vanishes.
# Versions: torchmetrics 1.9.0, torch 2.13.0.
# Why it matters: segmentation is validated one image at a time, as images differ in size. An interval of zero width
#   makes any difference between two models look certain.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: about 0.0486 whatever the batch size
#   multinomial, batches of 1: 0.0
#   poisson, batches of 1: 0.0508
#   multinomial, batches of 2: 0.0341
#   poisson, batches of 2: 0.0476
#   multinomial, batches of 32: 0.047
#   poisson, batches of 32: 0.0467
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchmetrics==1.9.0
venv/bin/python -W ignore - <<'PY'
import torch
from torchmetrics.regression import MeanAbsoluteError
from torchmetrics.wrappers import BootStrapper

torch.manual_seed(0)
errors = torch.rand(32)
textbook = float(errors.std(correction=0)) / 32**0.5


def spread(batch, strategy):
    torch.manual_seed(1)
    bootstrap = BootStrapper(MeanAbsoluteError(), num_bootstraps=200, sampling_strategy=strategy)
    for part in errors.split(batch):
        bootstrap.update(part, torch.zeros_like(part))
    return round(float(bootstrap.compute()['std']), 4)


results = {(batch, name): spread(batch, name) for batch in (1, 2, 32) for name in ('multinomial', 'poisson')}
print('expected: about', round(textbook, 4), 'whatever the batch size')
for (batch, name), value in results.items():
    print(f'{name}, batches of {batch}: {value}')
assert results[1, 'multinomial'] == 0
assert results[2, 'multinomial'] < 0.85 * textbook
assert all(abs(results[32, name] / textbook - 1) < 0.2 for name in ('multinomial', 'poisson'))
PY
