"""The models that a project may start from, and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Tower:
    """A CLIP image tower with its head, and how it is trained.

    Args:
        model: ``MODEL`` in the configs ``_base_/models/[mcdrl_]MODEL.py``.
        size: Default side of the images in pixels.
        rate: Learning rate.
        steps: Wanted number of training steps; fewer images mean more epochs.
        image_seconds: Seconds per image of a training step at ``size`` on two CPU
            cores, for rough time estimates: forward and backward of the bare tower; for
            the small towers doubled, to cover head and data.
        backbone: Changes to the backbone in both configs.
        head: Changes to the head in MCDRL's config.
        download: Megabytes of published weights that the first training downloads.
    """

    model: str
    size: int
    rate: float
    steps: int
    image_seconds: float
    backbone: Mapping[str, Any] = field(default_factory=dict)
    head: str = ''
    download: int = 0


_REAL_IMAGES = """\
        intervention=dict(residual='orthogonal', observe_confounders=True),
        loss_causal=None,
        loss_contrast=None,
"""

TOWERS = {
    'endo-lite0': Tower('clip-endo-lite0_segformer', 160, 1e-3, 800, 0.06),
    'tiny-rn': Tower(
        'clip-tiny-rn_segformer',
        128,
        3e-3,
        800,
        0.02,
        # Its dense map was trained for this mode, and the region selection then keeps
        # more of the lesions.
        backbone=dict(pretrained='builtin', dense_mode='maskclip'),
        head=_REAL_IMAGES,
    ),
    'rn50': Tower('clip-rn50_fcn', 224, 1e-4, 2000, 0.33, download=256),
    'vit-b16': Tower('clip-vit-b16_fcn', 224, 1e-4, 2000, 0.85, download=599),
    'vit-l14': Tower('clip-vit-l14_fcn', 224, 1e-4, 2000, 4.1, download=933),
}
"""Name for ``--model`` -> tower; ``builtin`` is one of the first two."""

MODALITIES = {
    'endoscopy': 'endoscopy',
    'fundus': 'fundus',
    'dermoscopy': 'dermoscopy',
    'ultrasound': 'ultrasound',
    'chest-xray': 'chest_xray',
    'ct': 'ct',
    'mri': 'mri',
}
"""Name for ``--modality`` -> prompt set in ``configs/_base_/prompts``."""
