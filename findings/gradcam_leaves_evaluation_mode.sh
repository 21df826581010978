#!/usr/bin/env bash
# A heat map by pytorch-grad-cam during training turns dropout off and freezes batch norm for the later training.
#
# Expected: an explanation leaves the model as it was, as its own "with" block suggests.
# Happens: the constructor calls model.eval(), and nothing puts the mode back, neither at the end of the "with" block
#   nor later. A training goes on without dropout, and with batch norm's statistics as they were at the moment of the
#   picture. The package's page does not say that model.train() must be called afterwards.
# Versions: grad-cam 1.5.7, torch 2.13.0, torchvision 0.28.0.
# Why it matters: heat maps are drawn every few hundred iterations, between two steps. After the first one, training no
#   longer follows the config, and the log does not show it.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   without a heat map at step 5: dropout on True, batch norm saw 20 of 20 batches
#   with a heat map at step 5: dropout on False, batch norm saw 5 of 20 batches
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 opencv-python-headless==5.0.0.93 grad-cam==1.5.7
venv/bin/python -W ignore - <<'PY'
import sys

import numpy as np
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
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from torch import nn

SIZE = (16, 16)


def train(with_picture):
    """Twenty steps of a small network, with a heat map in between or without."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.Conv2d(8, 2, 1)
    )
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for step in range(20):
        if with_picture and step == 5:
            lesion = SemanticSegmentationTarget(1, np.ones(SIZE, np.float32))
            with GradCAM(model=net, target_layers=[net[0]]) as cam:
                cam(input_tensor=torch.zeros(1, 3, *SIZE), targets=[lesion])
        image = torch.rand(2, 3, *SIZE)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(image), (image[:, 0] > 0.5).long()).backward()
        optimizer.step()
    return net


plain, drawn = train(False), train(True)
for name, net in (('without', plain), ('with', drawn)):
    steps = int(net[1].num_batches_tracked)
    print(f'{name} a heat map at step 5: dropout on {net[3].training}, batch norm saw {steps} of 20 batches')
assert plain[3].training and int(plain[1].num_batches_tracked) == 20
assert not drawn.training and not drawn[3].training and int(drawn[1].num_batches_tracked) == 5
PY
