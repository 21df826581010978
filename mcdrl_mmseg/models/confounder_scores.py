"""ConfounderScores: what CLIP reads off an image about each confounder."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn
from torch.nn import functional as F

_SMALLEST_VARIANCE = 1e-12


class ConfounderScores(nn.Module):
    """Cosines of image and confounder texts, standardised over the training images.

    Cosines of one CLIP differ from text to text by more than they differ from image to
    image, and between CLIPs in scale: their mean and spread over the images seen so
    far make them comparable. The statistics are a plain mean at first and an
    exponential one from ``1 / momentum`` steps on, of all processes together; a single
    batch never stands for the population, so that small batches do no harm.

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

    def forward(self, image_embedding: Tensor, entries: Tensor) -> Tensor:
        """Count a training batch in, then score it.

        Args:
            image_embedding: (B, d); no gradient reaches it: the scores say how an
                image was taken, and the image tower is not to be trained to say else.
            entries: Z, (M, d).

        Returns:
            (B, M) in float32 or wider, with mean 0 and spread 1 over the images.
        """
        with torch.autocast(entries.device.type, enabled=False):
            dtype = torch.promote_types(entries.dtype, torch.float32)
            images = F.normalize(image_embedding.detach().to(dtype), dim=-1)
            cosines = images @ F.normalize(entries.to(dtype), dim=-1).T
            self._count(cosines.detach())
            variance = self.mean_of_squares - self.mean.square()
            spread = variance.clamp(min=_SMALLEST_VARIANCE).sqrt()
            return (cosines - self.mean.to(dtype)) / spread.to(dtype)

    def _count(self, cosines: Tensor) -> None:
        batch = torch.stack([cosines.mean(dim=0), cosines.square().mean(dim=0)])
        all_reduce(batch, op='mean')
        self.steps += 1
        weight = self.steps.reciprocal().clamp(min=self.momentum)
        self.mean.lerp_(batch[0].to(self.mean), weight)
        self.mean_of_squares.lerp_(batch[1].to(self.mean), weight)
