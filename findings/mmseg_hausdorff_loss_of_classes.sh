#!/usr/bin/env bash
# For three classes, MMSegmentation's Hausdorff loss is lower for background only than for a perfect prediction.
#
# Expected: HuasdorffDisstanceLoss of a perfect prediction is 0, and it grows with the error.
# Happens: the probability of every class but the first is compared with the class number itself, (p - 2) squared where
#   the label is 2, and with the foreground of all classes together. From three classes on, the perfect map has a loss
#   above 0, two swapped classes cost nothing, and a map of only background is better than the perfect one. With two
#   classes the loss is correct. The help does not say that it is for two classes only.
# Versions: onedl-mmsegmentation 1.4.2, onedl-mmcv 2.3.6, onedl-mmengine 0.10.12, torch 2.13.0.
# Why it matters: beside cross-entropy it pulls towards missed lesions, and the log shows a loss
#   that goes down.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   two classes: {'perfect': 0.0, 'nothing': 0.273}
#   three classes, expected: perfect 0, the others above
#   three classes: {'perfect': 1.094, 'swapped': 1.094, 'nothing': 0.911}
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
from mmseg.models.losses import HuasdorffDisstanceLoss

truth = torch.zeros(1, 32, 32, dtype=torch.long)
truth[:, 4:12, 4:12] = 1
truth[:, 20:28, 20:28] = 2
swapped = torch.tensor([0, 2, 1])[truth]
nothing = torch.zeros_like(truth)


def loss(found, truth, classes):
    """Of a map that is sure of `found` at every pixel."""
    logits = 40.0 * torch.nn.functional.one_hot(found, classes).permute(0, 3, 1, 2)
    return round(float(HuasdorffDisstanceLoss()(logits, truth)), 3)


lesion = (truth > 0).long()
two = dict(perfect=loss(lesion, lesion, 2), nothing=loss(nothing, lesion, 2))
three = dict(
    perfect=loss(truth, truth, 3), swapped=loss(swapped, truth, 3), nothing=loss(nothing, truth, 3)
)
print('two classes:', two)
print('three classes, expected: perfect 0, the others above')
print('three classes:', three)
assert two['perfect'] == 0 < two['nothing']
assert three['perfect'] > three['nothing'] > 0.5
assert three['perfect'] == three['swapped']
PY
