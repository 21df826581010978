#!/usr/bin/env bash
# MONAI's unified focal loss asks for logits, and has no gradient for most of them.
#
# Expected: AsymmetricUnifiedFocalLoss takes "the original logits since it will be transformed by a sigmoid
#   in the forward function", as its help says.
# Happens: there is no sigmoid. The input is clipped to 0 and 1 and used as a probability. A logit below 0 or above 1
#   has a gradient of exactly 0: a network that outputs -2 everywhere, which means no lesion, never learns one. Of
#   logits that start as noise, two thirds stay where they are. With torch.sigmoid before it the same loss trains. No
#   message: the loss falls, as some logits lie within.
# Known: MONAI's issue 8603 (open) asks for an option; it does not say that the help is wrong.
# Versions: MONAI 1.6.1, torch 2.13.0, NumPy 2.4.6.
# Why it matters: it is a loss for small lesions, where a training begins with background everywhere. A network that
#   finds nothing looks like the result of a hard data set.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   largest gradient; expected: above 0
#   logit -2.0: as the help says 0.0, with a sigmoid before 0.00032
#   logit 0.5: as the help says 0.00105, with a sigmoid before 0.0002
#   logit 2.0: as the help says 0.0, with a sigmoid before 0.00011
#   300 steps from noise, share of pixels that are right; expected: 1.0
#   as the help says: 0.674
#   with a sigmoid before: 1.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 monai==1.6.1
venv/bin/python -W ignore - <<'PY'
import torch
from monai.losses import AsymmetricUnifiedFocalLoss

loss = AsymmetricUnifiedFocalLoss()
lesion = torch.zeros(1, 1, 32, 32)
lesion[..., 8:16, 8:16] = 1


def as_the_help_says(logits):
    return loss(logits, lesion)


def with_sigmoid(logits):
    return loss(torch.sigmoid(logits), lesion)


def gradient(measure, logit):
    logits = torch.full((1, 1, 32, 32), logit, requires_grad=True)
    measure(logits).backward()
    return round(float(logits.grad.abs().max()), 5)


def trained(measure):
    """Share of pixels on the right side of 0 after 300 steps on the logits themselves."""
    torch.manual_seed(0)
    logits = (2 * torch.randn(1, 1, 32, 32)).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        measure(logits).backward()
        optimizer.step()
    return round(float(((logits > 0) == (lesion > 0)).float().mean()), 3)


assert 'original logits' in loss.forward.__doc__ and 'a sigmoid in the forward function' in loss.forward.__doc__
print('largest gradient; expected: above 0')
for logit, trains in ((-2.0, False), (0.5, True), (2.0, False)):
    found = gradient(as_the_help_says, logit), gradient(with_sigmoid, logit)
    print(f'logit {logit}: as the help says {found[0]}, with a sigmoid before {found[1]}')
    assert (found[0] > 0) == trains and found[1] > 0
shares = trained(as_the_help_says), trained(with_sigmoid)
print('300 steps from noise, share of pixels that are right; expected: 1.0')
print('as the help says:', shares[0])
print('with a sigmoid before:', shares[1])
assert shares[0] < 0.75 and shares[1] == 1.0
PY
