#!/usr/bin/env bash
# With test-time augmentation a one-channel head of MMSegmentation predicts lesion everywhere.
#
# Expected: the mean over one plain view of an image is the prediction without augmentation.
# Happens: BaseSegmentor.postprocess_result has already applied the sigmoid to seg_logits, and SegTTAModel.merge_preds
#   applies it again. The result lies between 0.5 and 0.73, and the default threshold of one channel is 0.3: every pixel
#   is lesion. A threshold of 0.5 gives the same. A two-channel head is correct. No message.
# Versions: onedl-mmsegmentation 1.4.2, onedl-mmcv 2.3.6, onedl-mmengine 0.10.12, torch 2.13.0.
# Why it matters: one channel is MMSegmentation's documented form for binary tasks, and `tools/test.py --tta`
#   is meant to raise the score. Here sensitivity is 1, and Dice is that of a white image.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   lesion pixels of 64, without and with augmentation by one plain view; expected (9, 9)
#   two channels: (9, 9)
#   one channel: (9, 64)
#   one channel, threshold 0.5: (9, 64)
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
from mmengine.config import ConfigDict
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules

register_all_modules()


@MODELS.register_module()
class PassOn(BaseModule):
    """A backbone that hands the image on: the head below sees its three channels."""

    def forward(self, image):
        return (image,)


def build(channels, threshold, augmented):
    head = dict(
        type='FCNHead', in_channels=3, channels=3, in_index=0, num_convs=0, concat_input=False,
        num_classes=2, out_channels=channels, norm_cfg=None,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=channels == 1),
    )  # fmt: skip
    if threshold:
        head['threshold'] = threshold
    model = dict(
        type='EncoderDecoder', backbone=dict(type='PassOn'), decode_head=head,
        data_preprocessor=dict(type='SegDataPreProcessor', mean=[0] * 3, std=[1] * 3),
        test_cfg=dict(mode='whole'),
    )  # fmt: skip
    if augmented:
        model = dict(type='SegTTAModel', module=model)
    model = MODELS.build(ConfigDict(model)).eval()
    last = (model.module if augmented else model).decode_head.conv_seg
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    last.weight.data[-1] = 1  # the logit of a lesion is the sum of the colours
    return model


image = torch.full((3, 8, 8), -3.0)
image[:, 2:5, 2:5] = 3  # a lesion of nine pixels: probability 0.9999 within, 0.0001 outside


def lesion_pixels(channels, threshold=None):
    """Without augmentation, and with one view of the image, which is the image itself."""
    sizes = dict(ori_shape=(8, 8), img_shape=(8, 8), pad_shape=(8, 8), img_path='image.png')
    plain = dict(inputs=[image], data_samples=[SegDataSample(metainfo=sizes)])
    views = dict(inputs=[[image]], data_samples=[[SegDataSample(metainfo=sizes)]])
    with torch.no_grad():
        results = (
            build(channels, threshold, False).test_step(plain),
            build(channels, threshold, True).test_step(views),
        )
    return tuple(int(result[0].pred_sem_seg.data.sum()) for result in results)


print('lesion pixels of 64, without and with augmentation by one plain view; expected (9, 9)')
print('two channels:', lesion_pixels(2))
print('one channel:', lesion_pixels(1))
print('one channel, threshold 0.5:', lesion_pixels(1, 0.5))
assert lesion_pixels(2) == (9, 9)
assert lesion_pixels(1) == (9, 64)
assert lesion_pixels(1, 0.5) == (9, 64)
PY
