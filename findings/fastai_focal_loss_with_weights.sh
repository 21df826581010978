#!/usr/bin/env bash
# The class weight of fastai's FocalLoss changes which pixels count as easy.
#
# Expected: a weight of 10 for the lesion makes the loss of each of its pixels 10 times as large; the focal factor, (1 -
#   p)^gamma, is computed from the probability. The help of FocalLossFlat says that the weight stands for the paper's
#   alpha.
# Happens: the probability is recovered from the weighted loss, so that it is p^weight. With a weight of 10, a pixel
#   that is correct with 0.9 costs 424 times as much, and one with 0.99 914 times as much; with a weight of 0.1 it is
#   about a thousandth. With gamma=0 it is correct. No message.
# Versions: fastai 2.8.12, torch 2.13.0, NumPy 2.4.6.
# Why it matters: weights are used where lesions are small. With them the loss no longer ignores pixels that are already
#   correct, which is its only purpose, and a class of low weight is hardly trained at all.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   the loss of a lesion pixel by the weight of its class, in times of that without; gamma 0, gamma 2
#   probability 0.5, weight 10: 10.0 39.9
#   probability 0.5, weight 0.1: 0.1 0.00179
#   probability 0.9, weight 10: 10.0 424.0
#   probability 0.9, weight 0.1: 0.1 0.0011
#   probability 0.99, weight 10: 10.0 914.0
#   probability 0.99, weight 0.1: 0.1 0.00101
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
# Without torchvision, and what else fastai needs beside its losses.
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 matplotlib==3.11.2 pillow==13.0.0 pyyaml==6.0.3 requests cloudpickle==3.1.2 \
  plum-dispatch torch==2.13.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps \
  fastai==2.8.12 fastcore==2.2.41 fasttransform==0.0.5 fastprogress==1.0.3
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import torch
from fastai.losses import FocalLoss

lesion = torch.tensor([1])


def times(probability, weight, gamma):
    logits = torch.tensor([[0.0, probability / (1 - probability)]]).double()
    logits[0, 1] = logits[0, 1].log()
    plain = FocalLoss(gamma=gamma)(logits, lesion)
    weighted = FocalLoss(gamma=gamma, weight=torch.tensor([1.0, weight]).double())(logits, lesion)
    return float(f'{float(weighted / plain):.3g}')


print('the loss of a lesion pixel by the weight of its class, in times of that without; gamma 0, gamma 2')
seen = {}
for probability in (0.5, 0.9, 0.99):
    for weight in (10, 0.1):
        seen[probability, weight] = times(probability, weight, 0), times(probability, weight, 2)
        print(f'probability {probability}, weight {weight}:', *seen[probability, weight])
assert all(plain == weight for (_, weight), (plain, _) in seen.items())
assert seen[0.5, 10][1] == 39.9 and seen[0.9, 10][1] == 424 and seen[0.99, 10][1] == 914
assert seen[0.9, 0.1][1] < 0.0012 and seen[0.99, 0.1][1] < 0.0012
PY
