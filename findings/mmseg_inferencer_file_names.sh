#!/usr/bin/env bash
# MMSegInferencer names its masks by a counter, so that two folders of images share one set of masks.
#
# Expected: inferencer('hospital_a', out_dir='out') writes a mask for each image, found by its name.
# Happens: masks are 00000000_pred.png and so on, counted from 0 by every new inferencer. A second
#   hospital with the same out_dir, from a second call of the program, replaces the first one's
#   masks one by one. The images of a folder come in the order of the file system (os.scandir),
#   so that not even sorting tells which mask is whose. The pictures beside them are named by
#   their image, without its folder: those of equal name replace each other.
# Versions: onedl-mmsegmentation 1.4.2, onedl-mmcv 2.3.6, onedl-mmengine 0.10.12, torch 2.13.0.
# Why it matters: masks are scored against ground truth that is found by name, or by position in a sorted list. The
#   first fails, the second gives each image the mask of another one.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output, beside two log lines:
#   after hospital_a: 00000000_pred.png 00000001_pred.png 00000002_pred.png 00000003_pred.png 00000004_pred.png
#   expected after hospital_b: 8 masks; happened: 5
#   pictures: 1.png 3.png 5.png 6.png 7.png 8.png 9.png
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 opencv-python==5.0.0.93 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 ftfy==6.3.1 regex==2026.11.15
venv/bin/python -W ignore - 2>messages <<'PY' || { cat messages; exit 1; }
import os
import sys
from pathlib import Path

import cv2
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
from mmengine import Config
from mmseg.apis import MMSegInferencer
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.registry import MODELS


@MODELS.register_module()
class Level(BaseSegmentor):
    """Calls a whole image class 0 to 9 by its grey level."""

    encode_decode = extract_feat = loss = _forward = None
    align_corners = False

    def predict(self, inputs, data_samples=None):
        level = (inputs[:, :1] / 20).round().long()
        logits = torch.nn.functional.one_hot(level[:, 0], 10).permute(0, 3, 1, 2).float()
        return self.postprocess_result(logits, data_samples)


config = Config(
    dict(
        model=dict(type='Level', data_preprocessor=dict(type='SegDataPreProcessor')),
        test_dataloader=dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'), dict(type='PackSegInputs')])),
        visualizer=dict(type='SegLocalVisualizer'),
    )
)
levels = {}
for folder, names in dict(hospital_a=('7', '3', '9', '1', '5'), hospital_b=('8', '3', '6')).items():
    os.mkdir(folder)
    for name in names:
        levels[folder, name] = int(name) if folder == 'hospital_a' else 9 - int(name)
        cv2.imwrite(f'{folder}/{name}.png', np.full((32, 32, 3), 20 * levels[folder, name], np.uint8))


def segment(folder):
    """What one call of a program does."""
    MMSegInferencer(config, device='cpu', show_progress=False)(folder, out_dir='out')
    order = [levels[folder, Path(entry).stem] for entry in os.scandir(folder)]
    masks = sorted(Path('out/pred').iterdir())
    return order, [int(cv2.imread(str(mask), 0)[0, 0]) for mask in masks], [mask.name for mask in masks]


order, found, names = segment('hospital_a')
print('after hospital_a:', *names)
assert found == order and names[0] == '00000000_pred.png'
second, both, names = segment('hospital_b')
print('expected after hospital_b: 8 masks; happened:', len(names))
assert both == second + order[3:]
print('pictures:', *sorted(os.listdir('out/vis')))
assert sorted(os.listdir('out/vis')) == ['1.png', '3.png', '5.png', '6.png', '7.png', '8.png', '9.png']
PY
