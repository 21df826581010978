"""Image embeddings and condition scores of the built-in CLIPs, as shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mcdrl_lab.pretraining.captions import PROMPTS
from mcdrl_lab.pretraining.encoding import encode_batches
from mcdrl_mmseg.clip.builtin import BUILTIN
from mcdrl_mmseg.clip.text import embed_texts
from mcdrl_mmseg.clip.tower_features import TowerFeatures
from mcdrl_mmseg.clip.towers import CLIPSpec, load_tower_weights
from mcdrl_mmseg.models import CLIPVisionBackbone
from mcdrl_mmseg.prompts import PromptSet

_BATCH = 50
_SIDE = 160

Encode = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(n, H, W, 3) uint8, red first -> (n, M) cosines with the condition texts, and (n, d)
embeddings, L2-normalised."""


def builtin_encoder() -> Encode:
    """Encoder of the tiny CLIP, for simulated images at their own size."""
    # Same output stride as the backbone in the EndoSim configs.
    return _encoder('mcdrl-tiny-rn', PROMPTS, output_stride=16)


def endoscopy_encoder() -> Callable[[Sequence[Path]], tuple[np.ndarray, np.ndarray]]:
    """Encoder of the CLIP of real endoscopy, for image files, at 160 x 160 pixels.

    Returns:
        A function that takes n files and returns (n, M) cosines and (n, d) embeddings,
        see :data:`Encode`.
    """
    from mcdrl_lab.pretraining.endo_pack import squared
    from mcdrl_lab.pretraining.endo_words import PROMPTS as ENDO_PROMPTS
    from mcdrl_mmseg.apis.image_pipeline import as_image

    encode = _encoder('mcdrl-endo-lite0', ENDO_PROMPTS, dense_mode='vanilla')

    def encode_files(paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
        # Shrink while reading: thousands of squares fit into memory, full images not.
        squares = [squared(as_image(path)[..., ::-1], _SIDE) for path in paths]
        return encode(np.stack(squares))

    return encode_files


def _encoder(model_name: str, prompts: PromptSet, **options: Any) -> Encode:
    spec = CLIPSpec(model_name, BUILTIN)
    texts = embed_texts(spec, prompts.confounder_texts)
    backbone = CLIPVisionBackbone(
        spec.model_name, BUILTIN, out_indices=(), frozen=True, **options
    )
    load_tower_weights(backbone.tower, spec, 'visual.')
    backbone.eval()

    def encode(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        starts = range(0, len(images), _BATCH)
        embeddings = encode_batches(
            (images[start : start + _BATCH].copy() for start in starts),
            lambda batch: TowerFeatures((), *backbone(batch)[-2:]),
            dense=False,
        ).embeddings
        return (embeddings @ texts.T).numpy(), embeddings.numpy()

    return encode
