"""L_contrast: the image embedding against the class texts."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from .causal_alignment_loss import SMALLEST_NORM, masked_mean


@MODELS.register_module()
class CLIPContrastiveLoss(nn.Module):
    """InfoNCE between an image and the texts of the lesion classes.

    L_contrast of arXiv 2508.05008. The mean direction of the background prompts is one
    further candidate; it is the positive of images without lesion. With several classes
    in an image the loss is the mean of -log p over them, which for one class is the
    usual InfoNCE. Without background prompts, images without lesion are left out, and
    with a single class the loss is identically 0.

    Args:
        temperature: tau, 0.5 in the paper.
        loss_weight: lambda, 0.1 in the paper.
        loss_name: Key in the loss dict; must start with ``loss_`` to be summed.

    Raises:
        ValueError: A temperature that is not positive.

    Examples:
        >>> decode_head = dict(
        ...     loss_contrast=dict(
        ...         type='CLIPContrastiveLoss', temperature=0.5, loss_weight=0.1))
    """

    def __init__(
        self,
        temperature: float = 0.5,
        loss_weight: float = 0.1,
        loss_name: str = 'loss_contrast',
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(
                f'CLIPContrastiveLoss: temperature={temperature} must be above 0.'
            )
        self.temperature = temperature
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self,
        image_embedding: Tensor,
        class_embeddings: Tensor,
        background_embeddings: Tensor,
        classes: Tensor,
        labelled: Tensor | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            image_embedding: (B, d), normalised here.
            class_embeddings: e_k, (K, d).
            background_embeddings: (G, d); G may be 0.
            classes: (B, K) bool, lesion classes present in each image.
            labelled: (B,) bool, images with at least one labelled pixel. The others may
                hold any lesion and are left out. None means that all are labelled.

        Returns:
            Scalar, weighted.
        """
        # In half precision, cosines that are close would become equal.
        with torch.autocast(image_embedding.device.type, enabled=False):
            losses, positives = self._per_image(
                image_embedding, class_embeddings, background_embeddings, classes
            )
            takes_part = positives.any(dim=1)
            if labelled is not None:
                takes_part = takes_part & labelled
            return self.loss_weight * masked_mean(losses, takes_part)

    def _per_image(
        self,
        image_embedding: Tensor,
        class_embeddings: Tensor,
        background_embeddings: Tensor,
        classes: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Loss of each image, (B,), and its positives, (B, K or K + 1)."""
        texts = F.normalize(class_embeddings.float(), dim=1)
        positives = classes
        if len(background_embeddings):
            background = F.normalize(background_embeddings.float(), dim=1).mean(0)
            texts = torch.cat([texts, F.normalize(background, dim=0)[None]])
            lesion_free = ~classes.any(dim=1, keepdim=True)
            positives = torch.cat([classes, lesion_free], dim=1)
        images = F.normalize(image_embedding.float(), dim=1, eps=SMALLEST_NORM)
        logits = images @ texts.t()
        log_p = (logits / self.temperature).log_softmax(dim=1)
        weights = positives.to(log_p.dtype)
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
        return -(weights * log_p).sum(dim=1), positives
