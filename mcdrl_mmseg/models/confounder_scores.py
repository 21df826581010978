"""ConfounderScores: u, how much of each confounder CLIP sees in an image."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn
from torch.nn import functional as F

_SMALLEST_VARIANCE = 1e-12


class ConfounderScores(nn.Module):
    """u_m = (cos(v, z_m) - mu_m) / sigma_m, standardised over the training images.

    Cosines differ more between texts than between images, and their scale differs
    between CLIP models. Standardising by mean and spread over the images seen so far
    makes them comparable. The statistics are shared by all processes: a plain mean at
    first, an exponential one after ``1 / momentum`` steps. Unlike in batch norm, no
    single batch stands for the population, so small batches do no harm. A batch with a
    non-finite embedding, which float16 may cause, is skipped.

    Args:
        num_confounders: M.
        momentum: Weight of a step in the long run.
    """

    def __init__(self, num_confounders: int, momentum: float = 0.01) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer('mean', torch.zeros(num_confounders))
        self.register_buffer('mean_of_squares', torch.zeros(num_confounders))
        self.register_buffer('steps', torch.tensor(0.0))

    def reset(self) -> None:
        """Forget the images seen so far; needed when the entries change."""
        for statistic in self.buffers():
            statistic.zero_()

    def forward(self, image_embedding: Tensor, entries: Tensor) -> Tensor:
        """Update the statistics with a training batch, then score it.

        Args:
            image_embedding: v, (B, d). It gets no gradient: the scores are an
                observation and must not train the image tower.
            entries: Z, (M, d).

        Returns:
            u, (B, M), in float32 or wider, with mean 0 and spread 1 over the images.
        """
        with torch.autocast(entries.device.type, enabled=False):
            dtype = torch.promote_types(entries.dtype, torch.float32)
            images = F.normalize(image_embedding.detach().to(dtype), dim=-1)
            cosines = images @ F.normalize(entries.to(dtype), dim=-1).T
            self._update_statistics(cosines.detach())
            variance = self.mean_of_squares - self.mean.square()
            spread = variance.clamp(min=_SMALLEST_VARIANCE).sqrt()
            return (cosines - self.mean.to(dtype)) / spread.to(dtype)

    def _update_statistics(self, cosines: Tensor) -> None:
        batch = torch.stack([cosines.mean(dim=0), cosines.square().mean(dim=0)])
        all_reduce(batch, op='mean')
        # A NaN would stay in the statistics forever. An `if` would wait for the device.
        finite = batch.isfinite().all()
        self.steps += finite
        weight = self.steps.clamp(min=1).reciprocal().clamp(min=self.momentum)
        for statistic, value in zip((self.mean, self.mean_of_squares), batch):
            value = torch.where(finite, value.to(statistic), statistic)
            statistic.lerp_(value, weight)
