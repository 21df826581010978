#!/usr/bin/env bash
# Pixels without ground truth count in MMSegmentation's Dice and cross-entropy losses.
#
# Expected: a pixel with the ignore label 255 has no influence on the loss.
# Happens: (1) DiceLoss(ignore_index=255) reads 255 as the index of a class to leave out. Pixels of that label stay in,
#   as pixels of no class: the network is trained to assign them to no class, and gets a gradient there. (2)
#   CrossEntropyLoss leaves them out of the sum but divides by all pixels: with half of them ignored the loss is half
#   (avg_non_ignore=True divides by the others). TverskyLoss leaves them out.
# Versions: onedl-mmsegmentation 1.4.2, onedl-mmcv 2.3.6, onedl-mmengine 0.10.12, torch 2.13.0.
# Why it matters: 255 marks the black frame of an endoscope, padding, or tissue that nobody
#   judged. Their share differs by hospital, and with it the weight of each image, or what
#   is learned about them.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: no gradient where the label is 255
#   happened: {'CrossEntropyLoss': 'none', 'TverskyLoss': 'none', 'DiceLoss': 'some'}
#   cross entropy over the mean of labelled pixels: 0.5
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
from mmseg.models.losses import CrossEntropyLoss, DiceLoss, TverskyLoss

truth = torch.zeros(1, 4, 4, dtype=torch.long)
truth[..., 0] = 1
truth[..., 2:] = 255
torch.manual_seed(0)
logits = torch.randn(1, 2, 4, 4)


def gradient_where_ignored(loss):
    x = logits.clone().requires_grad_()
    loss(x, truth, ignore_index=255).backward()
    return x.grad[..., 2:].abs().max().item()


found = {
    type(loss).__name__: gradient_where_ignored(loss)
    for loss in (CrossEntropyLoss(), TverskyLoss(), DiceLoss(ignore_index=255))
}
plain = CrossEntropyLoss()(logits, truth, ignore_index=255).item()
told = CrossEntropyLoss(avg_non_ignore=True)(logits, truth, ignore_index=255).item()
print('expected: no gradient where the label is 255')
print('happened:', {k: 'none' if v == 0 else 'some' for k, v in found.items()})
print('cross entropy over the mean of labelled pixels:', round(plain / told, 3))
assert found['CrossEntropyLoss'] == found['TverskyLoss'] == 0
assert found['DiceLoss'] > 1e-4
assert abs(plain / told - 0.5) < 1e-5
PY
