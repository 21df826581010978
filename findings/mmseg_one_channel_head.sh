#!/usr/bin/env bash
# With a one-channel head, MMSegmentation's Dice loss trains the background.
#
# Expected: with out_channels=1 and a sigmoid, a perfect lesion map has Dice loss 0 and accuracy
#   100, as it has binary cross-entropy 0.
# Happens: (1) DiceLoss makes one-hot labels of as many classes as there are channels, and keeps the first: the
#   background. The perfect map has loss 1, its inverse 0. (2) TverskyLoss counts every label as the only class: loss
#   and gradient are 0. (3) decode.acc_seg, logged by every head, is the share of background: argmax over one channel is
#   0. No message.
# Versions: onedl-mmsegmentation 1.4.2, onedl-mmcv 2.3.6, onedl-mmengine 0.10.12, torch 2.13.0.
# Why it matters: one channel is MMSegmentation's documented form for binary tasks, and Dice beside
#   cross-entropy the usual choice for lesions: the two pull against each other.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   two channels, perfect: 0.0 100.0
#   expected for one channel: losses 0, accuracy 100
#   perfect: {'cross_entropy': 0.0, 'dice': 1.0, 'tversky': 0.0, 'accuracy': 75.0}
#   inverse: {'cross_entropy': 20.0, 'dice': 0.0, 'tversky': 0.0, 'accuracy': 75.0}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 opencv-python==5.0.0.93 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 ftfy==6.3.1 regex==2026.11.15
venv/bin/python -W ignore - <<'PY'
import sys

import torch

# torchvision from PyPI next to a torch of another build fails at import for want of two
# declared operators; declaring them is all that it needs here.
library = torch.library.Library("torchvision", "FRAGMENT")
try:
    import torchvision  # noqa: F401
except Exception:
    sys.modules.pop("torchvision", None)
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from mmseg.models.losses import CrossEntropyLoss, DiceLoss, TverskyLoss, accuracy

truth = torch.zeros(1, 8, 8, dtype=torch.long)
truth[:, :2] = 1  # a quarter is lesion
lesion = torch.where(truth == 1, 20.0, -20.0)[:, None]
losses = dict(
    cross_entropy=CrossEntropyLoss(use_sigmoid=True), dice=DiceLoss(), tversky=TverskyLoss()
)


def values(logits):
    found = {k: loss(logits, truth, ignore_index=255) for k, loss in losses.items()}
    found['accuracy'] = accuracy(logits, truth, ignore_index=255)
    return {k: round(float(v), 2) for k, v in found.items()}


two = torch.cat([-lesion, lesion], dim=1)
right, inverse = values(lesion), values(-lesion)
print('two channels, perfect:', round(float(DiceLoss()(two, truth)), 2), float(accuracy(two, truth)))
print('expected for one channel: losses 0, accuracy 100')
print('perfect:', right)
print('inverse:', inverse)
assert right == {'cross_entropy': 0, 'dice': 1, 'tversky': 0, 'accuracy': 75}
assert inverse == {'cross_entropy': 20, 'dice': 0, 'tversky': 0, 'accuracy': 75}
assert DiceLoss()(two, truth) < 0.01 and accuracy(two, truth) == 100
PY
