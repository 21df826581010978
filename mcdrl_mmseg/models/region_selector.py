"""MTRS, multimodal target region selection: where CLIP sees a lesion by text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

# CLIP's logit scale, at the upper bound of its training (arXiv 2103.00020).
_LOGIT_SCALE = 100


class Selection(NamedTuple):
    """The kept positions of a batch.

    Attributes:
        similarity: S, (B, K, h, w), cosine of dense feature and class text.
        indices: (B, N), flat positions on the grid of the features that are
            gathered, most similar first.
    """

    similarity: Tensor
    indices: Tensor


@MODELS.register_module()
class CLIPRegionSelector(BaseModule):
    """Keep the share of positions that resemble any lesion class most.

    S[h, w, k] = cos(C[h, w], e_k); S^ = max_k S; the N = ratio * h * w highest
    positions are kept (step 1 of arXiv 2508.05008). N is the same for every image
    of a batch, so that the kept tokens are one dense tensor.

    Args:
        ratio: alpha in (0, 1], the share of positions kept. At least one is.
        init_cfg: MMEngine's initialisation config; there is nothing to initialise.

    Raises:
        ValueError: ``ratio`` outside (0, 1].

    Examples:
        >>> decode_head = dict(
        ...     region_selector=dict(type='CLIPRegionSelector', ratio=0.5))
    """

    def __init__(self, ratio: float = 0.5, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if not 0 < ratio <= 1:
            raise ValueError(
                f'CLIPRegionSelector: ratio={ratio} must lie in (0, 1]; it is the '
                'share of positions to keep.'
            )
        self.ratio = ratio

    def num_kept(self, height: int, width: int) -> int:
        """N, rounded to the nearest integer and at least 1."""
        # torch.sym_*: in an export the size may be a symbolic variable.
        return torch.sym_max(1, torch.sym_int(self.ratio * height * width + 0.5))

    @torch.no_grad()
    def forward(
        self,
        dense_features: Tensor,
        class_embeddings: Tensor,
        grid: tuple[int, int] | None = None,
    ) -> Selection:
        """Select positions. No gradient flows through the selection.

        Args:
            dense_features: C, (B, d, h, w).
            class_embeddings: e_k, (K, d).
            grid: Height and width of the features to gather from, if they differ from
                CLIP's; S^ is then resized (:func:`resize_map`).

        Returns:
            The similarity on CLIP's grid and the positions kept on ``grid``.
            Ties go to the lower position, so that equal input gives equal output
            on every device.
        """
        similarity = text_similarity(dense_features, class_embeddings)
        best = similarity.amax(dim=1, keepdim=True)
        if grid is not None and tuple(grid) != tuple(best.shape[2:]):
            best = resize_map(best, grid)
        num_kept = self.num_kept(*best.shape[2:])
        order = best.flatten(1).sort(dim=1, descending=True, stable=True).indices
        return Selection(similarity, order[:, :num_kept])


def resize_map(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize bilinearly, equal to torch up to rounding, but with exact ties.

    Along the border, interpolation repeats the outermost value, so several positions
    have equal values. torch's weighted sums of two equal values differ by rounding:
    which of the tied positions is kept would then depend on the other images of the
    batch.

    Args:
        maps: (B, 1, h, w).
        grid: Height and width.

    Returns:
        (B, 1, height, width).
    """
    # A traced graph computes the positions itself: its size may be a variable.
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    line_of = _neighbours if traced else _kept_neighbours
    # Columns first: interpolating between two equal rows is then an exact copy.
    for dim in (3, 2):
        size, to = (torch.sym_int(side) for side in (maps.shape[dim], grid[dim - 2]))
        line = line_of(size, to, maps.dtype, maps.device)
        before, behind = (maps.index_select(dim, places) for places in line[:2])
        maps = torch.lerp(before, behind, line[2].view(-1, *[1] * (3 - dim)))
    return maps


def _neighbours(
    size: int, to: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Two neighbours of each position of a resized line, and weight of the second."""
    place = (torch.arange(to, dtype=torch.float64) + 0.5) * size / to - 0.5
    place = place.clamp(0, size - 1)
    before = place.floor().long()
    behind, share = (before + 1).clamp(max=size - 1), (place - before).to(dtype)
    return before.to(device), behind.to(device), share.to(device)


@lru_cache(maxsize=64)
def _kept_neighbours(*line: Any) -> tuple[Tensor, Tensor, Tensor]:
    # Inference tensors in the cache could not be used in a later training.
    with torch.inference_mode(False):
        return _neighbours(*line)


def text_similarity(dense_features: Tensor, embeddings: Tensor) -> Tensor:
    """Cosine of every position with every text, in float32.

    Args:
        dense_features: C, (B, d, h, w).
        embeddings: (K, d).

    Returns:
        (B, K, h, w).
    """
    # Half precision is so coarse that different similarities would become ties.
    with torch.autocast(dense_features.device.type, enabled=False):
        return torch.einsum(
            'bdhw,kd->bkhw',
            F.normalize(dense_features.float(), dim=1),
            F.normalize(embeddings.float(), dim=1),
        )


@torch.no_grad()
def lesion_over_healthy(
    similarity: Tensor, dense_features: Tensor, background_embeddings: Tensor
) -> Tensor:
    """100 (S^ - max_b cos(C, e_b)): by how much a lesion's text fits better.

    Args:
        similarity: S, (B, K, h, w).
        dense_features: C, (B, d, h, w).
        background_embeddings: e_b, one or more, (., d).

    Returns:
        (B, 1, h, w).
    """
    healthy = text_similarity(dense_features, background_embeddings)
    lesion, healthy = (x.amax(dim=1, keepdim=True) for x in (similarity, healthy))
    return _LOGIT_SCALE * (lesion - healthy)


def gather_tokens(feature: Tensor, indices: Tensor) -> Tensor:
    """F, the rows of a feature map at the kept positions.

    Args:
        feature: (B, c, h, w).
        indices: (B, N), flat positions.

    Returns:
        ``region_tokens`` (B, N, c).
    """
    rows = feature.flatten(2).transpose(1, 2)
    return rows.gather(1, indices.unsqueeze(-1).expand(-1, -1, rows.shape[2]))


def scatter_tokens(feature: Tensor, indices: Tensor, tokens: Tensor) -> Tensor:
    """Put tokens back where :func:`gather_tokens` took them from.

    Args:
        feature: (B, c, h, w), the values of all other positions.
        indices: (B, N), flat positions, unique within an image.
        tokens: (B, N, c).

    Returns:
        (B, c, h, w), a new map.
    """
    flat = feature.flatten(2)
    positions = indices.unsqueeze(1).expand(-1, flat.shape[1], -1)
    values = tokens.transpose(1, 2).to(flat.dtype)
    return flat.scatter(2, positions, values).unflatten(2, feature.shape[2:])
