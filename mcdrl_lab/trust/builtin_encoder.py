"""The built-in tiny CLIP's view of simulated images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from mcdrl_lab.pretraining.captions import PROMPTS
from mcdrl_lab.pretraining.trainer import normalise
from mcdrl_mmseg.clip.builtin import BUILTIN
from mcdrl_mmseg.clip.text import embed_texts
from mcdrl_mmseg.clip.towers import CLIPSpec, load_tower_weights
from mcdrl_mmseg.models import CLIPVisionBackbone

_BATCH = 50


def builtin_encoder() -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Make a function that scores images with the conditions of the prompt set.

    Returns:
        It takes (n, H, W, 3) uint8 images, red first, and gives (n, M) cosines with
        the texts of the conditions and (n, d) embeddings, L2-normalised.
    """
    spec = CLIPSpec('mcdrl-tiny-rn', BUILTIN)
    texts = embed_texts(spec, PROMPTS.confounder_texts)
    # As the backbone of the configs for EndoSim.
    backbone = CLIPVisionBackbone(
        spec.model_name, BUILTIN, out_indices=(), output_stride=16, frozen=True
    )
    load_tower_weights(backbone.tower, spec, 'visual.')
    backbone.eval()

    @torch.no_grad()
    def encode(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        embeddings = []
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(images[start : start + _BATCH].copy())
            outputs = backbone(normalise(batch.permute(0, 3, 1, 2)))
            embedding = outputs[-1].flatten(1).float()
            embeddings.append(torch.nn.functional.normalize(embedding, dim=1))
        joined = torch.cat(embeddings)
        return (joined @ texts.T).numpy(), joined.numpy()

    return encode
