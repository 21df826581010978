"""Encoding of images by the image tower of a CLIP."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mcdrl_mmseg.clip.tower_features import TowerFeatures


@dataclass(frozen=True)
class Encoded:
    """Features of n images from an image tower.

    Args:
        embeddings: (n, d), L2-normalised.
        dense: (n, d, h, w).
    """

    embeddings: Tensor
    dense: Tensor

    def of(self, rows: np.ndarray) -> Encoded:
        """Select images.

        Args:
            rows: (n,) bool.
        """
        chosen = torch.from_numpy(rows)
        return Encoded(self.embeddings[chosen], self.dense[chosen])


@torch.no_grad()
def encode_batches(
    batches: Iterable[np.ndarray],
    tower: Callable[[Tensor], TowerFeatures],
    dense: bool = True,
) -> Encoded:
    """Run an image tower over images.

    Args:
        batches: Arrays (B, H, W, 3) uint8, red first.
        tower: Maps normalised images (B, 3, H, W) to features.
        dense: Whether to keep the dense maps.
    """
    embeddings, maps = [], []
    for batch in batches:
        features = tower(normalise(torch.from_numpy(batch).permute(0, 3, 1, 2)))
        embeddings.append(F.normalize(features.image_embedding.flatten(1), dim=-1))
        if dense:
            maps.append(features.dense_features)
    return Encoded(torch.cat(embeddings), torch.cat(maps) if dense else torch.empty(0))


def normalise(images: Tensor) -> Tensor:
    """Normalise images as CLIP's image tower expects.

    Args:
        images: (B, 3, H, W) uint8, red first.

    Returns:
        (B, 3, H, W) float32.
    """
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    mean = images.new_tensor(OPENAI_DATASET_MEAN, dtype=torch.float32)
    std = images.new_tensor(OPENAI_DATASET_STD, dtype=torch.float32)
    scaled = images.float() / 255
    scaled = (scaled - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    return scaled.contiguous(memory_format=torch.channels_last)
