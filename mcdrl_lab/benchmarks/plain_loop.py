"""A plain training loop without MMEngine, as the reference for the trainer's speed.

EfficientNet-Lite0 with ImageNet weights, a feature pyramid of 64 channels, AdamW and a
cosine schedule; no registry, hooks or log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ARCHITECTURE = 'mcdrl-endo-lite0'
_LEVELS = (1, 2, 3, 4)  # strides of 4 to 32
_WIDTHS = (24, 40, 112, 320)
_WARM_UP = 20  # steps
SKIPPED = 3
"""First steps of a training, which are not timed."""


@dataclass(frozen=True)
class Pair:
    """An image and its mask.

    Args:
        image: File of the image.
        mask: File of the mask: values above 127 are lesion.
    """

    image: Path
    mask: Path


@dataclass(frozen=True)
class Loop:
    """How to train.

    Args:
        size: Height and width in pixels.
        batch_size: Images per step.
        epochs: Passes over the images.
        learning_rate: Peak learning rate of AdamW.
        seed: Seed of order, flips and new weights.
    """

    size: int = 160
    batch_size: int = 16
    epochs: int = 8
    learning_rate: float = 1e-3
    seed: int = 0


class PlainNetwork(nn.Module):
    """EfficientNet-Lite0 with a feature pyramid.

    Args:
        weights: ImageNet's, as :func:`mcdrl_lab.pretraining.endo_model.imagenet_file`
            finds them; None for random ones.
        channels: Channels of the pyramid.
    """

    def __init__(self, weights: Path | None, channels: int = 64) -> None:
        from mcdrl_lab.pretraining.endo_model import load_imagenet
        from mcdrl_mmseg.clip import CLIPSpec, build_image_tower

        super().__init__()
        tower = build_image_tower(CLIPSpec(_ARCHITECTURE))
        if weights is not None:
            load_imagenet(tower, weights)
        self.trunk = tower.trunk
        self.lateral = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in _WIDTHS)
        self.smooth = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.classify = nn.Conv2d(channels, 1, 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (B, 1, H, W) of CLIP-normalised images (B, 3, H, W)."""
        levels = self.trunk.forward_intermediates(
            images, indices=list(_LEVELS), intermediates_only=True
        )
        maps = [lateral(level) for lateral, level in zip(self.lateral, levels)]
        top = maps[-1]
        for finer in reversed(maps[:-1]):
            top = finer + F.interpolate(top, size=finer.shape[2:], mode='nearest')
        logits = self.classify(self.smooth(top))
        return F.interpolate(
            logits, size=images.shape[2:], mode='bilinear', align_corners=False
        )


def plain_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy plus one minus the batch's Dice.

    Args:
        logits: (B, 1, H, W).
        truth: The same shape, 0 or 1.
    """
    chance = logits.sigmoid()
    overlap = 2 * (chance * truth).sum() / (chance.sum() + truth.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, truth) + 1 - overlap


def read_batch(pairs: Sequence[Pair], size: int) -> tuple[Tensor, Tensor]:
    """Read files as the trainer's pipeline does: decode and resize every time.

    Args:
        pairs: Files of a batch.
        size: Height and width in pixels.

    Returns:
        Images (B, 3, size, size), normalised as CLIP's, channels last, and truth
        (B, 1, size, size), 0 or 1.
    """
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    images = np.empty((len(pairs), size, size, 3), np.uint8)
    truth = np.empty((len(pairs), 1, size, size), np.float32)
    for n, pair in enumerate(pairs):
        images[n] = cv2.resize(cv2.imread(str(pair.image)), (size, size))[..., ::-1]
        mask = cv2.imread(str(pair.mask), cv2.IMREAD_GRAYSCALE)
        mask = cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST)
        truth[n, 0] = mask > 127
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1) * 255
        for v in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)
    )
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return (pixels - mean) / std, torch.from_numpy(truth)


def training_steps(
    model: nn.Module, pairs: Sequence[Pair], loop: Loop
) -> Iterator[int]:
    """Train step by step.

    Args:
        model: Trained in place.
        pairs: Training images and masks.
        loop: Settings.

    Yields:
        Number of images in the step that was just done.
    """
    generator = np.random.default_rng(loop.seed)
    a_pass = math.ceil(len(pairs) / loop.batch_size)
    total = a_pass * loop.epochs
    optimizer = torch.optim.AdamW(model.parameters(), loop.learning_rate)
    for step in range(total):
        if step % a_pass == 0:
            model.train()
            order = generator.permutation(len(pairs))
        factor = 0.5 + 0.5 * math.cos(math.pi * step / total)
        factor *= min(1, (step + 1) / _WARM_UP)
        optimizer.param_groups[0]['lr'] = loop.learning_rate * factor
        begin = step % a_pass * loop.batch_size
        chosen = [pairs[i] for i in order[begin : begin + loop.batch_size]]
        images, truth = read_batch(chosen, loop.size)
        for axis in (2, 3):
            flipped = torch.from_numpy(generator.random(len(chosen)) < 0.5)
            images[flipped] = images[flipped].flip(axis)
            truth[flipped] = truth[flipped].flip(axis)
        optimizer.zero_grad()
        plain_loss(model(images), truth).backward()
        optimizer.step()
        yield len(chosen)


@torch.no_grad()
def dice_of_lesions(
    model: Callable[[Tensor], Tensor], pairs: Sequence[Pair], size: int
) -> list[float]:
    """Dice of images with a lesion, at their native size.

    Args:
        model: Images (B, 3, size, size) to logits (B, 1, size, size).
        pairs: Test images and masks.
        size: Height and width in pixels.

    Returns:
        Dice of each image with a lesion, 0 to 1.
    """
    scores = []
    for pair in pairs:
        truth = cv2.imread(str(pair.mask), cv2.IMREAD_GRAYSCALE) > 127
        if not truth.any():
            continue
        logits = model(read_batch([pair], size)[0])
        logits = F.interpolate(
            logits, size=truth.shape, mode='bilinear', align_corners=False
        )
        found = (logits[0, 0] > 0).numpy()
        scores.append(2 * float((found & truth).sum() / (found.sum() + truth.sum())))
    return scores


def images_a_second(steps: Iterator[int], count: int) -> float:
    """Throughput in CPU time, which other load on the machine hardly affects.

    Args:
        steps: From :func:`training_steps`.
        count: Number of timed steps, after :data:`SKIPPED` others.
    """
    for _ in range(SKIPPED):
        next(steps)
    begin = time.process_time()
    images = sum(next(steps) for _ in range(count))
    return images / (time.process_time() - begin)
