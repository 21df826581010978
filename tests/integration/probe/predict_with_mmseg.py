"""Predict with mmseg's own functions, as a user who only has a checkpoint.

Usage: predict_with_mmseg.py CONFIG CHECKPOINT OUTPUT IMAGE...
"""

import sys

import torch

# Makes torchvision importable for mmseg.apis, and checkpoints of MMEngine 0.10.7
# loadable by torch 2.6.
import mcdrl_mmseg.apis  # noqa: F401


def main():
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    config, checkpoint, output, *images = sys.argv[1:]
    model = init_model(config, checkpoint, device='cpu')
    found = {}
    for image in images:
        sample = inference_model(model, image)
        found[image] = dict(
            mask=sample.pred_sem_seg.data, logits=sample.seg_logits.data
        )
    inferencer = MMSegInferencer(config, checkpoint, device='cpu')
    for image in images:
        found[image]['inferencer'] = inferencer(image, show=False)['predictions']
    torch.save(found, output)


if __name__ == '__main__':
    main()
