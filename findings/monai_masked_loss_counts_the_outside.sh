#!/usr/bin/env bash
# In MONAI's masked losses, masked-out pixels count as missed background, or as a lesion with probability 0.5.
#
# Expected: "only the masked region contributes to the loss": a perfect map has loss 0 whatever is masked out.
# Happens: MaskedDiceLoss(softmax=True, to_onehot_y=True) masks the label map before it becomes one-hot, and a masked
#   label is class 0: everything outside is background that was missed. The perfect map has a loss of 0.1 where half of
#   the image is masked out, and of 0.23 where most is. Labels that are one-hot already are right, and so is
#   include_background=False. MaskedLoss around a loss that applies a sigmoid masks logits: 0 is a probability of 0.5,
#   and the perfect map has a Dice loss of 0.61. No message.
# Known: the second in MaskedDiceLoss itself, MONAI's issue 8655, is fixed in this version.
# Versions: MONAI 1.6.1, torch 2.13.0, NumPy 2.4.6.
# Why it matters: masks are for the field of view of an endoscope, or for what was annotated. The loss
#   then depends on how much of an image is masked out, and with Dice so does its gradient inside.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   loss of a perfect map by the share that is kept; expected: 0.0 always
#   kept: 1.0 0.562 0.25
#   MaskedDiceLoss, one-hot labels: 0.0 0.0 0.0
#   MaskedDiceLoss, to_onehot_y: 0.0 0.103 0.225
#   MaskedDiceLoss, to_onehot_y without background: 0.0 0.0 0.0
#   MaskedLoss of DiceLoss with sigmoid: 0.0 0.609 0.727
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 monai==1.6.1
venv/bin/python -W ignore - <<'PY'
import torch
from monai.losses import DiceLoss, MaskedDiceLoss, MaskedLoss

labels = torch.zeros(1, 1, 32, 32)
labels[..., 9:15, 9:15], labels[..., 17:23, 17:23] = 1, 2
one_hot = torch.cat([labels == number for number in range(3)], 1).float()
perfect = 60 * one_hot - 30
lesion = (labels > 0).float()


def kept(margin):
    mask = torch.zeros_like(labels)
    mask[..., margin : 32 - margin, margin : 32 - margin] = 1
    return mask


masks = [kept(margin) for margin in (0, 4, 8)]
options = dict(softmax=True, to_onehot_y=True)
LOSSES = {
    'MaskedDiceLoss, one-hot labels': (MaskedDiceLoss(softmax=True), perfect, one_hot),
    'MaskedDiceLoss, to_onehot_y': (MaskedDiceLoss(**options), perfect, labels),
    'MaskedDiceLoss, to_onehot_y without background': (
        MaskedDiceLoss(include_background=False, **options), perfect, labels,
    ),
    'MaskedLoss of DiceLoss with sigmoid': (MaskedLoss(DiceLoss, sigmoid=True), 60 * lesion - 30, lesion),
}  # fmt: skip
assert 'ensuring only the masked region contributes to the loss' in ' '.join(MaskedDiceLoss.__doc__.split())
print('loss of a perfect map by the share that is kept; expected: 0.0 always')
print('kept:', *(round(float(mask.mean()), 3) for mask in masks))
found = {}
for name, (loss, logits, truth) in LOSSES.items():
    found[name] = [round(float(loss(logits, truth, mask)), 3) for mask in masks]
    print(f'{name}:', *found[name])
plain, masked, foreground, wrapped = found.values()
assert plain == foreground == [0, 0, 0]
assert masked[0] == wrapped[0] == 0
assert 0.05 < masked[1] < masked[2] and 0.5 < wrapped[1] < wrapped[2]
PY
