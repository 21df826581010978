#!/usr/bin/env bash
# MONAI's soft clDice loss is 0 for any prediction of structures that are too wide for its number of iterations.
#
# Expected: SoftclDiceLoss of an empty prediction, or of one at another place, is near 1 at any width; the skeleton of a
#   wide vessel may be rough.
# Happens: the skeleton is what openings of iter_ erosions remove. With iter_=3, the default, a vessel of 9 pixels and
#   more has none at all, and as both sums are then 0 the loss is 0, the best value, for nothing and for a vessel
#   elsewhere, without a gradient. SoftDiceclDiceLoss is half of the Dice loss. Up to 8 pixels, and with iter_=12 at 24,
#   it is as expected. No message; the help of iter_ only says that it is the number of iterations for skeletonization.
# Versions: MONAI 1.6.1, torch 2.13.0, NumPy 2.4.6.
# Why it matters: in a large fundus image the main vessels are 20 pixels wide, and a polyp is always wide. They are left
#   out of a loss that is meant to keep them connected, and a batch with only such structures has no loss.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   a vessel found, not found, found elsewhere; with Dice, elsewhere; is there a gradient
#   3 pixels, iter_=3: 0.0 0.98 0.99 0.99 True
#   8 pixels, iter_=3: 0.0 0.99 0.99 1.0 True
#   9 pixels, iter_=3: 0.0 0.0 0.0 0.5 False
#   24 pixels, iter_=3: 0.0 0.0 0.0 0.5 False
#   24 pixels, iter_=12: 0.0 0.98 0.99 1.0 True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps monai==1.6.1
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import torch
from monai.losses import SoftclDiceLoss, SoftDiceclDiceLoss


def losses(width, iterations=3):
    vessel, elsewhere = torch.zeros(1, 1, 96, 96), torch.zeros(1, 1, 96, 96)
    vessel[..., 20 : 20 + width, 8:88] = 1
    elsewhere[..., 60 : 60 + width, 8:88] = 1
    faint = (0.5 * elsewhere).requires_grad_()
    loss = SoftclDiceLoss(iter_=iterations)
    loss(faint, vessel).backward()
    values = [round(float(loss(found, vessel)), 2) + 0.0 for found in (vessel, torch.zeros_like(vessel), elsewhere)]
    values.append(round(float(SoftDiceclDiceLoss(iter_=iterations)(elsewhere, vessel)), 2))
    values.append(bool(faint.grad.any()))
    print(f'{width} pixels, iter_={iterations}:', *values)
    return values


print('a vessel found, not found, found elsewhere; with Dice, elsewhere; is there a gradient')
assert losses(3) == [0.0, 0.98, 0.99, 0.99, True]
assert losses(8) == [0.0, 0.99, 0.99, 1.0, True]
assert losses(9) == [0.0, 0.0, 0.0, 0.5, False]
assert losses(24) == [0.0, 0.0, 0.0, 0.5, False]
assert losses(24, iterations=12) == [0.0, 0.98, 0.99, 1.0, True]
PY
