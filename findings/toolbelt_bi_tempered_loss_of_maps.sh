#!/usr/bin/env bash
# pytorch-toolbelt's bi-tempered loss of label maps is the same for a perfect map and for its inverse.
#
# Expected: BiTemperedLogisticLoss(t1=0.8, t2=1.2) of logits (B, C, H, W) and class numbers (B, H, W), as the package's
#   other losses take them, or with the classes last, as its help says, is near 0 for a perfect map and larger for
#   others.
# Happens: probabilities add up to 1 along the last axis, the width of maps, and class numbers are written into the
#   second one, whichever axis holds the classes. Classes second: 1.245 for the perfect map and for its inverse.
#   Classes last: 0.793 for the perfect map, 0.767 for background alone. There is no message while the height is not
#   below the number of classes. Of rows (N, C), a pixel each, it is right: 0.000, and 4.346 for the inverse.
# Versions: pytorch-toolbelt 0.8.0, torch 2.13.0, NumPy 2.4.6.
# Why it matters: the loss is there for masks with wrong labels. Training with it learns nothing useful, at a loss that
#   looks like that of a hard task.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   rows (N, C), expected and happened: perfect 0.000, inverse 4.346, background alone 0.391
#   maps (B, C, H, W), happened: perfect 1.245, inverse 1.245, background alone 1.032
#   maps (B, H, W, C), happened: perfect 0.793, inverse 0.993, background alone 0.767
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps pytorch-toolbelt==0.8.0
venv/bin/python -W ignore - <<'PY'
import importlib.util
import sys
import types
from pathlib import Path

import torch

# The losses alone: other parts of the package import torchvision and more.
folder = Path(importlib.util.find_spec('pytorch_toolbelt').origin).parent
for name in ('pytorch_toolbelt', 'pytorch_toolbelt.losses'):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [str(folder.joinpath(*name.split('.')[1:]))]
from pytorch_toolbelt.losses.bitempered_loss import BiTemperedLogisticLoss  # noqa: E402

truth = torch.zeros(2, 16, 16, dtype=torch.long)
truth[0, 4:10, 4:10] = 1
truth[1, 2:5, 2:5] = 2
MAPS = {
    'perfect': torch.nn.functional.one_hot(truth, 3) * 40.0 - 20,
    'inverse': 20 - torch.nn.functional.one_hot(truth, 3) * 40.0,
    'background alone': torch.nn.functional.one_hot(truth * 0, 3) * 40.0 - 20,
}
loss = BiTemperedLogisticLoss(t1=0.8, t2=1.2)


def losses(change, target):
    return {name: round(float(loss(change(logits), target)), 3) for name, logits in MAPS.items()}


def say(name, values):
    print(f'{name}:', ', '.join(f'{key} {value:.3f}' for key, value in values.items()))


rows = losses(lambda logits: logits.reshape(-1, 3), truth.reshape(-1))
second = losses(lambda logits: logits.permute(0, 3, 1, 2), truth)
last = losses(lambda logits: logits, truth)
say('rows (N, C), expected and happened', rows)
say('maps (B, C, H, W), happened', second)
say('maps (B, H, W, C), happened', last)
assert rows['perfect'] < 0.001 < rows['background alone'] < rows['inverse']
assert second['perfect'] == second['inverse'] > 1
assert last['perfect'] > last['background alone'] > 0.1
PY
