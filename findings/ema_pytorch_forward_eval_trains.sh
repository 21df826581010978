#!/usr/bin/env bash
# ema-pytorch's forward_eval runs the averaged model in training mode, and so changes it.
#
# Expected: by its comment, the method is meant for invoking the averaged model "with no grad + eval".
# Happens: no gradients are kept, but eval() is never called: the method only saves and restores the mode. Dropout is
#   active, so that one image gets a different prediction at every call, and each call moves the statistics of batch
#   norm, which the averaged model then keeps: validating on another hospital shifts the model towards it. After
#   ema.ema_model.eval() it is right. Asked in its issue 38. No message.
# Versions: ema-pytorch 0.8.3, torch 2.13.0, NumPy 2.4.6.
# Why it matters: the averaged model is what is validated and published. Its scores are those of a model with
#   dropout, and its predictions depend on which images were validated before, and in which batches.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: [0.0, 0.0]
#   forward_eval twice; the model after validating another hospital: [2.491, 1.209]
#   the same after ema_model.eval(): [0.0, 0.0]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 ema-pytorch==0.8.3
venv/bin/python -W ignore - <<'PY'
import torch
from ema_pytorch import EMA

torch.manual_seed(0)
image = torch.randn(1, 3, 16, 16)
other_hospital = torch.randn(8, 3, 16, 16) * 2 + 3


def averaged():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Dropout(0.5), torch.nn.Conv2d(8, 2, 1)
    )
    ema = EMA(model, beta=0.99, update_after_step=0, update_every=1)
    for _ in range(50):
        model(torch.randn(8, 3, 16, 16))
        ema.update()
    return ema


def largest_change(one, other):
    return round(float((one - other).abs().max()), 3)


def checked(ema):
    """What changes: the prediction of one image called twice, and what the model itself gives, before and after."""
    repeated = largest_change(ema.forward_eval(image), ema.forward_eval(image))
    mode = ema.ema_model.training
    with torch.no_grad():
        before = ema.ema_model.eval()(image)
        ema.ema_model.train(mode)
        for _ in range(10):
            ema.forward_eval(other_hospital)
        after = ema.ema_model.eval()(image)
    return repeated, largest_change(before, after)


as_it_is = averaged()
evaluated = averaged()
evaluated.ema_model.eval()
happened, right = checked(as_it_is), checked(evaluated)
print('expected: [0.0, 0.0]')
print('forward_eval twice; the model after validating another hospital:', list(happened))
print('the same after ema_model.eval():', list(right))
assert right == (0, 0)
assert happened[0] > 0.1 and happened[1] > 0.1
PY
