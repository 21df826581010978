"""Make the golden output again, from a trained checkpoint and an image.

The checkpoint is trained with the config below. Its CLIP tower is frozen and part of
the package, so only the head is kept, in half precision. A small change of the image
must not change the mask much; otherwise rounding on another machine would, too.

Example: python tests/golden/make_golden.py best.pth endosim_a/images/00038.png
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from safetensors.torch import load_file, save_file

from mcdrl_mmseg.apis import MCDRLInferencer
from mcdrl_mmseg.apis.checkpoint import read_checkpoint

FOLDER = Path(__file__).resolve().parent
CONFIG = (
    FOLDER.parents[1] / 'configs/mcdrl/mcdrl_clip-tiny-rn_fcn_6e_endosim-128x128.py'
)
HEAD, IMAGE, MASK = (FOLDER / n for n in ('head.safetensors', 'image.png', 'mask.png'))
SAME = 0.99
"""Least Dice of a mask with the golden one."""


def save_checkpoint(path: Path) -> None:
    """Write the whole checkpoint: the package's tower and the golden head."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(CONFIG)
    model = MODELS.build(cfg.model)
    model.backbone.init_weights()
    model.decode_head.load_state_dict(load_file(HEAD))
    meta = dict(cfg=cfg.pretty_text)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)


def predict(checkpoint: Path, image: str | np.ndarray) -> np.ndarray:
    """Segment an image on a CPU, (H, W) bool."""
    inferencer = MCDRLInferencer(weights=str(checkpoint), device='cpu')
    (prediction,) = inferencer.predict([image])
    return prediction.labels > 0


def read_mask() -> np.ndarray:
    """Read the golden mask, (H, W) bool."""
    return cv2.imread(str(MASK), cv2.IMREAD_GRAYSCALE) > 0


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two masks that are not both empty."""
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help=f'trained with {CONFIG.name}')
    parser.add_argument('image', help='PNG of a site that it was not trained on')
    args = parser.parse_args()

    state = read_checkpoint(args.checkpoint)['state_dict']
    head = {
        key.removeprefix('decode_head.'): value.half()
        if value.is_floating_point()
        else value
        for key, value in state.items()
        if key.startswith('decode_head.')
    }
    save_file(head, HEAD)
    shutil.copyfile(args.image, IMAGE)
    whole = FOLDER / 'whole.pth'
    try:
        save_checkpoint(whole)
        image = cv2.imread(str(IMAGE))
        mask = predict(whole, image)
        noise = np.random.default_rng(0).integers(-1, 2, image.shape)
        noisy = np.clip(image + noise, 0, 255).astype(np.uint8)
        steady = dice(mask, predict(whole, noisy))
    finally:
        whole.unlink()
    cv2.imwrite(str(MASK), np.uint8(255) * mask)
    print(
        f'{mask.mean():.1%} of the image in the mask; Dice {steady:.4f} with the mask '
        'of the image plus noise of one grey level'
    )
    if not steady >= SAME:
        raise SystemExit(f'That is below {SAME}: take another image.')


if __name__ == '__main__':
    main()
