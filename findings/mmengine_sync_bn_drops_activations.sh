#!/usr/bin/env bash
# MMEngine's sync_bn='torch' removes all activations from a timm EfficientNet.
#
# Expected: synchronised batch norm shares statistics among GPUs; in evaluation, with the same
#   weights and statistics, the network computes what it did.
# Happens: convert_sync_batchnorm replaces every batch norm by a plain torch.nn.SyncBatchNorm, including timm's
#   BatchNormAct2d, which applies the activation in its own forward(). The activation remains a child of the new norm,
#   but nothing calls it. There is no warning, and parameters and names stay the same. torch's own function does the
#   same, which is known (pytorch issue 187298, open; timm issue 1254); timm's own keeps the activations. MMEngine's
#   help does not mention it, and no MMEngine issue was found. Distributed training converts the model if the config
#   sets sync_bn='torch'.
# Versions: onedl-mmengine 0.10.12, timm 1.0.31, torch 2.13.0.
# Why it matters: a pretrained encoder of a segmentation network, frozen or not, computes different, linear features on
#   several GPUs. Tested on one GPU, where nothing is converted, its checkpoint is a different network.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   efficientnet_lite0, not converted: 32 activations, features change by 0 standard deviations
#   efficientnet_lite0, by timm: 32 activations, features change by 0 standard deviations
#   efficientnet_lite0, by MMEngine: 0 activations, features change by 1.1e+06 standard deviations
#   efficientnet_lite0, by torch: 0 activations, features change by 1.1e+06 standard deviations
#   resnet18, by MMEngine: 17 activations, features change by 0 standard deviations
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 opencv-python-headless==5.0.0.93 onedl-mmengine==0.10.12 timm==1.0.31
venv/bin/python -W ignore - <<'PY'
import sys

import torch

# torchvision from PyPI next to a torch of another build fails at import for want of two
# declared operators; declaring them is all that it needs here.
library = torch.library.Library('torchvision', 'FRAGMENT')
try:
    import torchvision  # noqa: F401
except Exception:
    sys.modules.pop('torchvision', None)
    for name in ('nms', 'qnms'):
        library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
import timm
from mmengine.model import convert_sync_batchnorm
from timm.layers import BatchNormAct2d
from timm.layers import convert_sync_batchnorm as convert_by_timm
from torch import nn

torch.manual_seed(0)
# Smooth, as images are.
images = nn.functional.interpolate(torch.randn(4, 3, 8, 8), size=(64, 64), mode='bilinear')


def encoder(name):
    """An untrained encoder whose batch norms know the images."""
    torch.manual_seed(1)
    net = timm.create_model(name, pretrained=False, features_only=True)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None
    net.train()(images)
    return net.eval()


def activations_and_features(name, convert):
    """How often one evaluation activates, and the coarsest features."""
    net = convert(encoder(name)).eval()
    calls = []
    for part in net.modules():
        if isinstance(part, nn.ReLU | nn.ReLU6):
            part.register_forward_hook(lambda *args: calls.append(1))
    with torch.no_grad():
        features = net(images)[-1]
    return len(calls), features


def changed(name, by, convert):
    """The change of the features, as a share of their standard deviation."""
    calls, features = activations_and_features(name, convert)
    _, before = activations_and_features(name, nn.Identity())
    change = float((features - before).square().mean().sqrt() / before.std())
    print(f'{name}, {by}: {calls} activations, features change by {change:.2g} standard deviations')
    return calls, round(change, 5)


LITE, RESNET = 'efficientnet_lite0', 'resnet18'
torchs = nn.SyncBatchNorm.convert_sync_batchnorm
assert changed(LITE, 'not converted', nn.Identity()) == (32, 0)
assert changed(LITE, 'by timm', convert_by_timm) == (32, 0)
calls, change = changed(LITE, 'by MMEngine', convert_sync_batchnorm)
assert calls == 0 and change > 0.5
assert changed(LITE, 'by torch', torchs) == (calls, change)
# Norm and activation apart, as in torchvision and MMSegmentation.
assert changed(RESNET, 'by MMEngine', convert_sync_batchnorm) == (17, 0)
PY
