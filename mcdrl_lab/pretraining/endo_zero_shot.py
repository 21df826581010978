"""Zero-shot tests of a CLIP on real images: what its texts find in unseen hospitals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from mcdrl_lab.kept_map import kept_map
from mcdrl_lab.simulation.drawn_conditions import (
    CONDITIONS,
    DRAWN,
    NARROW_BAND,
    WHITE_LIGHT,
)
from mcdrl_lab.simulation.drawn_conditions import draw_conditions as draw
from mcdrl_mmseg.clip.timm_tower import timm_features
from mcdrl_mmseg.models.region_selector import CLIPRegionSelector

from .encoding import Encoded, encode_batches
from .endo_pack import squared

RATIOS = (0.5, 0.2)
"""Values of alpha of the region selection."""

_BATCH = 32
_WEAKEST, _STRONGEST = 0.25, 1.0
_DRAWN_SIDE = 256
_FINE = 448  # side in pixels at which areas are measured

Embedder = Callable[[Sequence[str]], Tensor]
"""Texts -> (n, d), L2-normalised."""


def encode(
    tower: nn.Module, images: Sequence[np.ndarray], side: int, dense: bool = True
) -> Encoded:
    """Run an image tower of timm.

    Args:
        tower: In evaluation mode.
        images: n images (H, W, 3) uint8, red first.
        side: Height and width at which the tower sees them.
        dense: Whether to keep the dense maps.
    """
    batches = (
        np.stack([squared(image, side) for image in images[start : start + _BATCH]])
        for start in range(0, len(images), _BATCH)
    )
    return encode_batches(
        batches, lambda batch: timm_features(tower, batch, (), 'vanilla'), dense
    )


def auc(positive: Tensor, negative: Tensor) -> float:
    """Area under the ROC curve of two sets of scores."""
    labels = [1] * len(positive) + [0] * len(negative)
    return float(roc_auc_score(labels, torch.cat([positive, negative]).numpy()))


def lesion_scores(embeddings: Tensor, lesion: Tensor, healthy: Tensor) -> Tensor:
    """Lesion score: the cosine with texts of the lesion minus that with healthy ones.

    Args:
        embeddings: (n, d), L2-normalised.
        lesion: (k, d) texts of the lesion.
        healthy: (j, d) texts of healthy tissue.

    Returns:
        (n,).
    """
    return (embeddings @ lesion.T).mean(dim=1) - (embeddings @ healthy.T).mean(dim=1)


def position_scores(dense: Tensor, lesion: Tensor, healthy: Tensor) -> Tensor:
    """Lesion score of the highest-scoring position of each image.

    Args:
        dense: (n, d, h, w).
        lesion: (k, d) texts of the lesion, L2-normalised.
        healthy: (j, d) texts of healthy tissue, L2-normalised.

    Returns:
        (n,).
    """
    positions = F.normalize(dense, dim=1).flatten(2).transpose(1, 2)
    return (
        lesion_scores(positions.flatten(0, 1), lesion, healthy)
        .view(len(dense), -1)
        .amax(dim=1)
    )


def conditioned(
    images: Sequence[np.ndarray], seed: int
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Draw each condition once on every image, at strengths of 0.25 to 1.

    Args:
        images: n images.
        seed: Seed of positions, shapes and strengths.

    Yields:
        Number of the condition, and n images with it.
    """
    for number in DRAWN:
        generator = np.random.default_rng((seed, number))
        drawn = []
        for image in images:
            strength = float(generator.uniform(_WEAKEST, _STRONGEST))
            square = squared(image, _DRAWN_SIDE)
            drawn.append(draw(generator, square, None, {number: strength})[0])
        yield number, drawn


@dataclass(frozen=True)
class ConditionEmbeddings:
    """Embeddings of images without and with each condition.

    Args:
        plain: (n, d) of the images as they are.
        drawn: Number of a condition -> (n, d).
    """

    plain: Tensor
    drawn: dict[int, Tensor]

    def auc_of(self, number: int, text: Tensor, among: bool = False) -> float:
        """AUC of a text: images with its condition against plain ones.

        Without narrow-band imaging every image is in white light: the AUC of white
        light compares the other images with narrow-band ones.

        Args:
            number: The condition.
            text: (d,), L2-normalised.
            among: Also compare with images that have another condition.
        """
        shown = NARROW_BAND if number == WHITE_LIGHT else number
        others = [v for k, v in self.drawn.items() if among and k != shown]
        own, rest = self.drawn[shown] @ text, torch.cat([self.plain, *others]) @ text
        return auc(rest, own) if number == WHITE_LIGHT else auc(own, rest)


def encode_conditions(
    tower: nn.Module, images: Sequence[np.ndarray], side: int, seed: int
) -> ConditionEmbeddings:
    """Encode images without and with each condition.

    Args:
        tower: In evaluation mode.
        images: n images.
        side: Height and width at which the tower sees them.
        seed: Seed of the conditions.
    """
    # Plain images are resized likewise: otherwise resizing alone would tell them apart.
    plain = [squared(image, _DRAWN_SIDE) for image in images]
    return ConditionEmbeddings(
        encode(tower, plain, side, dense=False).embeddings,
        {
            number: encode(tower, drawn, side, dense=False).embeddings
            for number, drawn in conditioned(images, seed)
        },
    )


def joined(parts: Sequence[ConditionEmbeddings]) -> ConditionEmbeddings:
    """Join several sets of images into one."""
    return ConditionEmbeddings(
        torch.cat([part.plain for part in parts]),
        {n: torch.cat([part.drawn[n] for part in parts]) for n in DRAWN},
    )


def shuffles(count: int, seed: int) -> list[np.ndarray]:
    """Permutations of the conditions' words in which no word keeps its condition.

    Args:
        count: Number of permutations.
        seed: Seed of the permutations.

    Returns:
        Arrays (12,): number of the condition -> whose word it gets.
    """
    generator = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < count:
        order = generator.permutation(len(CONDITIONS))
        if (order != np.arange(len(CONDITIONS))).all():
            found.append(order)
    return found


def kept_shares(
    scores: Tensor, masks: Sequence[np.ndarray], ratio: float
) -> np.ndarray:
    """Share of each lesion's area in the highest-scoring positions of a map.

    Args:
        scores: (n, h, w).
        masks: n lesion masks (H, W), none empty.
        ratio: alpha.

    Returns:
        (n,).
    """
    height, width = scores.shape[1:]
    count = CLIPRegionSelector(ratio).num_kept(height, width)
    order = scores.flatten(1).sort(dim=1, descending=True, stable=True).indices
    size = (_FINE, _FINE)
    shares = []
    for indices, mask in zip(order[:, :count], masks):
        inside = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        kept = kept_map(indices[None], (height, width), size)[0, 0].numpy()
        shares.append(float((inside * kept).sum() / inside.sum()))
    return np.array(shares)


def text_scores(dense: Tensor, texts: Tensor) -> Tensor:
    """S^ of the region selection: the highest cosine with any text.

    Args:
        dense: (n, d, h, w).
        texts: (K, d).

    Returns:
        (n, h, w).
    """
    return torch.einsum(
        'bdhw,kd->bkhw', F.normalize(dense, dim=1), F.normalize(texts, dim=1)
    ).amax(dim=1)


def centre_scores(count: int, grid: tuple[int, int]) -> Tensor:
    """Nearness to the centre: the network-free baseline that a selection must beat.

    Args:
        count: n.
        grid: h and w.

    Returns:
        (n, h, w).
    """
    rows, columns = (torch.linspace(-1, 1, n) for n in grid)
    return (-(rows[:, None] ** 2) - columns[None] ** 2).expand(count, *grid)


def random_scores(count: int, grid: tuple[int, int], seed: int) -> Tensor:
    """(n, h, w) random numbers."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *grid, generator=generator)
