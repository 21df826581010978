#!/usr/bin/env bash
# The weight of netcal's DCAPenalty has no effect: 0, 0.1 and 10 give the same loss.
#
# Expected: DCAPenalty(weight=0.1), by its help the weight of the penalty, is a tenth of DCAPenalty(weight=1), as it is with
#   ConfidencePenalty and MMCEPenalty beside it; with a weight of 0 there is no penalty.
# Happens: the weight is stored and never used. The difference of accuracy and confidence is returned as it is, and its
#   gradient with it, whatever the weight. No message.
# Versions: netcal 1.4.0, torch 2.13.0, scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: the penalty comes from medical images and is added to cross-entropy, with a weight that is tuned. A
#   search over weights finds that they do not matter, and a baseline with a weight of 0 is trained with the penalty.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   weight: DCA, its gradient, confidence, MMCE
#   1.0: 0.228 0.021 0.1984 0.4182
#   0.0: 0.228 0.021 0.0 0.0
#   0.1: 0.228 0.021 0.0198 0.0418
#   10.0: 0.228 0.021 1.9836 4.1822
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
# Without what netcal's other parts need: matplotlib, TensorBoard, Pyro and GPyTorch.
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 torch==2.13.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps netcal==1.4.0
venv/bin/python -W ignore - <<'PY'
import torch
from netcal.regularization import ConfidencePenalty, DCAPenalty, MMCEPenalty

# Logits of three classes for 128 pixels, surer than they are right.
generator = torch.Generator().manual_seed(0)
labels = torch.randint(0, 3, (128,), generator=generator)
logits = 2 * torch.randn(128, 3, generator=generator) + torch.nn.functional.one_hot(labels, 3)


def penalties(weight):
    inputs = logits.clone().requires_grad_()
    dca = DCAPenalty(weight=weight)(inputs, labels)
    dca.backward()
    others = [penalty(weight=weight)(logits, labels) for penalty in (ConfidencePenalty, MMCEPenalty)]
    values = [round(float(value), 4) for value in (dca, inputs.grad.norm(), *others)]
    print(f'{weight}:', *values)
    return values


print('weight: DCA, its gradient, confidence, MMCE')
one = penalties(1.0)
for weight in (0.0, 0.1, 10.0):
    dca, gradient, confidence, mmce = penalties(weight)
    assert [dca, gradient] == one[:2] and dca > 0.1
    assert abs(confidence - weight * one[2]) < 0.001 and abs(mmce - weight * one[3]) < 0.001
PY
