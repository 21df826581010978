"""L_causal: region features after the intervention, pulled to their class."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

# eps of F.normalize: the gradient at a zero vector is 1 / eps, and must fit float16.
SMALLEST_NORM = 1e-4


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the images in a mask, 0 if the mask is empty.

    Args:
        values: (B,), one loss for each image.
        mask: (B,) bool, which images take part.

    Returns:
        Scalar. In distributed training the divisor is the mean count over processes, so
        that averaged gradients equal the gradient of the joint batch.
    """
    weight = mask.to(values.dtype)
    count = weight.sum()
    all_reduce(count, op='mean')
    # torch.where, not a product: the loss of a masked image may not be finite.
    kept = torch.where(mask, values, torch.zeros_like(values))
    return kept.sum() / count.clamp(min=torch.finfo(values.dtype).tiny)


@MODELS.register_module()
class CausalAlignmentLoss(nn.Module):
    """|| Pool(F_ca) - mean_m t_km ||^2, with k the image's lesion class.

    Averaging t_km over the confounders leaves a target that says what the lesion is
    and not how it was imaged (L_causal of arXiv 2508.05008). For several classes in an
    image the target is the mean of theirs. Images without lesion are left out.

    Args:
        normalize: L2-normalise both sides, to compare directions only; False is the
            paper's formula as written.
        loss_weight: lambda, 0.5 in the paper.
        loss_name: Key in the loss dict; must start with ``loss_`` to be summed.

    Examples:
        >>> decode_head = dict(
        ...     loss_causal=dict(
        ...         type='CausalAlignmentLoss', normalize=True, loss_weight=0.5))
    """

    def __init__(
        self,
        normalize: bool = False,
        loss_weight: float = 0.5,
        loss_name: str = 'loss_causal',
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self, pooled: Tensor, class_confounder_embeddings: Tensor, classes: Tensor
    ) -> Tensor:
        """Compute the loss.

        Args:
            pooled: Pool(F_ca), (B, d).
            class_confounder_embeddings: t_km, (K, M, d).
            classes: (B, K) bool, lesion classes present in each image.

        Returns:
            Scalar, weighted.
        """
        # Squares of features overflow float16.
        with torch.autocast(pooled.device.type, enabled=False):
            pooled = pooled.float()
            targets = class_confounder_embeddings.float().mean(dim=1)
            weights = classes.to(targets.dtype)
            weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
            targets = weights @ targets
            if self.normalize:
                pooled = F.normalize(pooled, dim=1, eps=SMALLEST_NORM)
                targets = F.normalize(targets, dim=1)
            distances = (pooled - targets).square().sum(dim=1)
            return self.loss_weight * masked_mean(distances, classes.any(dim=1))
