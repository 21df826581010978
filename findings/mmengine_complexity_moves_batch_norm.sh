#!/usr/bin/env bash
# Counting the FLOPs of a model with MMEngine changes what the model predicts.
#
# Expected: get_model_complexity_info(model, input_shape=...) reads a model and leaves it as it was.
# Happens: it runs two batches of noise (one for FLOPs, one for activations) in whatever mode the model is in, and a
#   model that was just built and loaded is in training mode: batch norm takes 19 % of its statistics from the noise
#   (momentum 0.1, twice). There is no message, and the mode stays as it was, so that a later eval() seems sufficient.
#   If model.eval() is called before the count, nothing changes. The help does not mention it.
# Versions: onedl-mmengine 0.10.12, torch 2.13.0.
# Why it matters: a benchmark loads a checkpoint, counts, then scores. The scores are those of another
#   model, a little worse, and with random noise different at each run.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   not counted: probabilities move by up to 0.00, batches seen 1
#   counted as loaded: probabilities move by up to 0.06, batches seen 3
#   counted after eval(): probabilities move by up to 0.00, batches seen 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 opencv-python-headless==5.0.0.93 onedl-mmengine==0.10.12
venv/bin/python -W ignore - 2>messages <<'PY' || { cat messages; exit 1; }
import logging

import torch
from mmengine.analysis import get_model_complexity_info
from torch import nn

logging.disable(logging.WARNING)  # of operators that are not counted
torch.manual_seed(0)
# Smooth, as images are, and of mean 0 and standard deviation 1, as a preprocessor gives them.
image = nn.functional.interpolate(torch.randn(1, 3, 4, 4), size=(32, 32), mode='bilinear')
image = (image - image.mean()) / image.std()


def trained():
    """A network whose batch norm knows its images, as a checkpoint gives it."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Conv2d(4, 2, 1))
    net(image)
    net[1].momentum = 0.1
    return net


def lesion(net):
    """Its probability of lesion, in evaluation."""
    with torch.no_grad():
        return net.eval()(image).softmax(1)[:, 1]


def changed(name, prepare, count):
    net = prepare(trained())
    if count:
        get_model_complexity_info(net, input_shape=(3, 32, 32), show_table=False, show_arch=False)
    by = float((lesion(net) - lesion(trained())).abs().max())
    print(f'{name}: probabilities move by up to {by:.2f}, batches seen {int(net[1].num_batches_tracked)}')
    return by


assert changed('not counted', nn.Module.train, False) == 0
assert changed('counted as loaded', nn.Module.train, True) > 0.02
assert changed('counted after eval()', nn.Module.eval, True) == 0
PY
