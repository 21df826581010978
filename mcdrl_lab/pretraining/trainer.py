"""Training of the tiny CLIP: resumable, with the same batch at the same step."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcdrl_mmseg.clip.model_config import get_model_config
from mcdrl_mmseg.clip.text import tokenize
from mcdrl_mmseg.clip.tower_features import resnet_features
from mcdrl_mmseg.clip.towers import CLIPSpec

from .captions import PROMPTS, true_of, write_caption
from .encoding import normalise
from .losses import caption_loss, cell_shares, region_loss
from .scene_pool import ScenePool
from .training_loop import BETAS, PretrainingError, Training, learning_share

_MAX_LOGIT_SCALE = math.log(100)
_SAVE_EVERY = 50


@dataclass(frozen=True)
class Settings:
    """How the model is trained.

    Args:
        model_name: An open_clip architecture with a ResNet image tower.
        steps: Optimiser steps.
        batch_size: Scenes per step.
        learning_rate: AdamW's learning rate after the warm-up, with cosine decay to 0.
        warmup_steps: Steps of linear warm-up.
        weight_decay: Weight decay of matrices and kernels.
        region_weight: Weight of the region loss relative to the caption loss; 0 uses no
            masks and trains with captions only.
        seed: Seed of weights, batches and captions.

    Raises:
        PretrainingError: The region weight is negative or not finite.
    """

    model_name: str = 'mcdrl-tiny-rn'
    steps: int = 1200
    batch_size: int = 192
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    weight_decay: float = 0.05
    region_weight: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.region_weight < math.inf:
            raise PretrainingError(
                f'region_weight={self.region_weight}: expected 0 or more.'
            )


def build_clip(settings: Settings) -> nn.Module:
    """Build both towers, with random weights from the settings' seed.

    Args:
        settings: The training.

    Returns:
        open_clip's ``CLIP``.
    """
    from open_clip.model import CLIP

    config = get_model_config(settings.model_name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = CLIP(config['embed_dim'], config['vision_cfg'], config['text_cfg'])
    return model.to(memory_format=torch.channels_last)


def pretrain(
    settings: Settings,
    pool: ScenePool,
    work_dir: str | os.PathLike,
    device: str = 'cpu',
    log: Callable[[str], None] = print,
) -> nn.Module:
    """Train a CLIP on a pool of scenes, resuming from the checkpoint if there is one.

    Args:
        settings: The training.
        pool: Its scenes.
        work_dir: Folder of the checkpoint.
        device: Where to train.
        log: Called with lines about the progress.

    Returns:
        The trained model.

    Raises:
        PretrainingError: The folder's checkpoint has other settings, or the loss is not
            finite.
    """
    model = build_clip(settings).to(device)
    optimizer = _make_optimizer(model, settings)
    training = Training(work_dir, settings, model, optimizer)
    model.train()

    def train_step(step: int) -> dict[str, Tensor]:
        for group in optimizer.param_groups:
            group['lr'] = settings.learning_rate * learning_share(settings, step)
        losses = _losses(model, settings, pool, step, device)
        total = losses['caption'] + settings.region_weight * losses['region']
        training.update(total, _MAX_LOGIT_SCALE)
        return losses

    training.run(train_step, log, _SAVE_EVERY)
    return model.eval()


def _make_optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        kernel = parameter.ndim > 1 and 'embedding' not in name
        (decayed if kernel else others).append(parameter)
    groups = [
        dict(params=decayed, weight_decay=settings.weight_decay),
        dict(params=others, weight_decay=0.0),
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=BETAS)


def _losses(
    model: nn.Module, settings: Settings, pool: ScenePool, step: int, device: str
) -> dict[str, Tensor]:
    """Both losses of a step's batch, which only depends on seed and step."""
    # Scenes, and a true caption for each.
    generator = np.random.default_rng((settings.seed, step))
    rows = np.sort(generator.choice(len(pool.images), settings.batch_size, False))
    lesions, conditions = pool.lesions[rows], pool.conditions[rows]
    captions = [
        write_caption(generator, int(lesion), there.nonzero()[0])
        for lesion, there in zip(lesions, conditions)
    ]
    images = torch.from_numpy(pool.images[rows]).to(device).permute(0, 3, 1, 2)
    masks = torch.from_numpy(pool.masks[rows]).to(device)
    # Random flips, the same for image and mask.
    for axis in (1, 2):
        flipped = torch.from_numpy(generator.random(len(rows)) < 0.5).to(device)
        images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(axis + 1), images)
        masks = torch.where(flipped.view(-1, 1, 1), masks.flip(axis), masks)

    # Both towers.
    features = resnet_features(model.visual, normalise(images), (), 'maskclip')
    embeddings = F.normalize(features.image_embedding.flatten(1), dim=-1)
    dense = F.normalize(features.dense_features, dim=1)

    spec = CLIPSpec(settings.model_name)
    classes = [*PROMPTS.class_texts, *PROMPTS.background_prompts]
    texts = [caption.text for caption in captions]
    # Texts recur in a batch: embed each distinct text once.
    distinct = list(dict.fromkeys([*classes, *texts]))
    embedded = model.encode_text(tokenize(spec, distinct).to(device), normalize=True)
    place = {text: row for row, text in enumerate(distinct)}
    scale = model.logit_scale.exp()

    # Captions against images, class words against cells.
    logits = scale * embedded[[place[t] for t in texts]] @ embeddings.T
    true = torch.from_numpy(true_of(captions, lesions, conditions)).to(device)
    class_rows = embedded[: len(classes)]
    return dict(
        caption=caption_loss(logits, true),
        region=region_loss(
            scale * torch.einsum('bdhw,kd->bkhw', dense, class_rows),
            torch.from_numpy(lesions).to(device),
            cell_shares(masks, dense.shape[2:]),
            len(PROMPTS.classes),
        ),
    )
