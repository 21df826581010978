"""Training of the CLIP of real endoscopy: resumable, each step has its own seed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from mcdrl_mmseg.clip.sentence_encoder import encode_sentences
from mcdrl_mmseg.clip.sentence_text import has_sentence_text
from mcdrl_mmseg.clip.text import tokenize
from mcdrl_mmseg.clip.towers import CLIPSpec

from .encoding import normalise
from .endo_model import EndoCLIP, load_imagenet
from .endo_pack import Pack
from .endo_samples import MIXTURE, draw_sample
from .endo_truth import (
    as_tensor,
    balanced_pair_loss,
    dense_pair_loss,
    found_somewhere_loss,
    truth,
)
from .endo_words import NORMAL, POLYP, Claim, captions
from .losses import cell_shares
from .training_loop import BETAS, PretrainingError, Training, learning_share

TEXT_TOWERS = {
    'sentence': 'mcdrl-endo-lite0',
    'transformer': 'mcdrl-endo-lite0-transformer',
}
"""Text side -> architecture: a frozen sentence encoder, which is shipped, and as its
control a small transformer with open_clip's tokenizer and random initial weights."""

_MAX_LOGIT_SCALE = math.log(50)
_SAVE_EVERY = 25
_GRADED_CLAIMS, _PAIR_CLAIMS = 8, 14
_LESION_TEXTS = 3  # per step, of polyps and of healthy tissue each
_SOMEWHERE = 0.12


@dataclass(frozen=True)
class EndoSettings:
    """How the model is trained.

    Args:
        model_name: Architecture.
        steps: Optimiser steps.
        batch_size: Images per step.
        side: Height and width of training images, in pixels.
        learning_rate: Peak learning rate of both projections, with cosine decay to 0.
        tower_rate: Peak learning rate of the image tower, likewise.
        warmup_steps: Steps of linear warm-up.
        weight_decay: Weight decay of matrices and kernels.
        region_weight: Weight of the text-region losses relative to the caption loss; 0
            trains with captions only. Lesions are pasted with their masks in any case.
        frozen_blocks: Number of frozen blocks of the image tower.
        sentence_noise: Norm of the noise on sentence vectors, whose norm is 1.
        without: Data sets left out, joined by commas.
        seed: Seed of all random choices.

    Raises:
        PretrainingError: The region weight is negative or not finite.
    """

    model_name: str = TEXT_TOWERS['sentence']
    steps: int = 320
    batch_size: int = 48
    side: int = 160
    learning_rate: float = 1e-3
    tower_rate: float = 5e-4
    warmup_steps: int = 20
    weight_decay: float = 0.05
    region_weight: float = 1.0
    frozen_blocks: int = 3
    sentence_noise: float = 0.3
    without: str = ''
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.region_weight < math.inf:
            raise PretrainingError(
                f'region_weight={self.region_weight}: expected 0 or more.'
            )


def data_sets(joined: str) -> tuple[str, ...]:
    """Names in ``EndoSettings.without``."""
    return tuple(filter(None, joined.split(',')))


class EndoBatches(Dataset):
    """Batches of images and labels; each only depends on the seed and its step.

    Args:
        pack: The images.
        settings: The training.
    """

    def __init__(self, pack: Pack, settings: EndoSettings) -> None:
        self.pack, self.settings = pack, settings
        rows = {kind: pack.rows_of(kind) for kind in MIXTURE}
        self._rows = {kind: found for kind, found in rows.items() if len(found)}

    def __len__(self) -> int:
        return self.settings.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """Batch of a step: images, masks, known, lesions, present, strength."""
        settings = self.settings
        # The training process needs the other threads.
        cv2.setNumThreads(1)
        generator = np.random.default_rng((settings.seed, step))
        kinds = list(self._rows)
        shares = np.array([MIXTURE[kind] for kind in kinds])
        chosen = generator.choice(
            len(kinds), settings.batch_size, p=shares / shares.sum()
        )
        samples = [
            draw_sample(
                generator,
                self.pack,
                int(generator.choice(self._rows[kinds[number]])),
                settings.side,
            )
            for number in chosen
        ]
        empty = np.zeros((settings.side, settings.side), np.uint8)
        masks = [empty if s.mask is None else s.mask for s in samples]
        return dict(
            images=as_tensor(np.stack([s.image for s in samples])),
            masks=as_tensor(np.stack(masks)),
            known=as_tensor(np.array([s.mask is not None for s in samples])),
            lesions=as_tensor(np.array([s.lesion for s in samples])),
            present=as_tensor(np.stack([s.present for s in samples])),
            strength=as_tensor(np.stack([s.strength for s in samples])),
        )


class CaptionBank:
    """All captions, encoded for the text side, and the random choice of a step's texts.

    Args:
        encoder: Texts -> (n, 384) sentence vectors, or (n, length) token ids for a text
            tower.
    """

    def __init__(
        self, encoder: Callable[[list[str]], Tensor] = encode_sentences
    ) -> None:
        texts = captions()
        self._rows: dict[Claim, range] = {}
        flat: list[str] = []
        for claim, lines in texts.items():
            self._rows[claim] = range(len(flat), len(flat) + len(lines))
            flat += lines
        self._encoded = encoder(flat)
        self.claims = list(texts)
        self._graded = [c for c in self.claims if c.grade is not None]
        self._pairs = [c for c in self.claims if None not in (c.lesion, c.condition)]
        self._plain = [c for c in self.claims if c.lesion is None and c.grade is None]

    def draw(self, generator: np.random.Generator) -> tuple[list[Claim], Tensor]:
        """Draw the texts of a step: first polyps, then healthy tissue, then the rest.

        Args:
            generator: Source of the choice.

        Returns:
            T claims and their texts, encoded, (T, 384) or (T, length).
        """
        claims = [Claim(POLYP)] * _LESION_TEXTS + [Claim(NORMAL)] * _LESION_TEXTS
        claims += self._plain
        for pool, count in (
            (self._graded, _GRADED_CLAIMS),
            (self._pairs, _PAIR_CLAIMS),
        ):
            picked = generator.choice(len(pool), count, replace=False)
            claims += [pool[number] for number in picked]
        rows = [int(generator.choice(self._rows[claim])) for claim in claims]
        return claims, self._encoded[rows]


def endo_losses(
    model: EndoCLIP,
    batch: dict[str, Tensor],
    claims: list[Claim],
    encoded: Tensor,
) -> dict[str, Tensor]:
    """Losses of a step.

    Args:
        model: The model.
        batch: A batch of :class:`EndoBatches`.
        claims: T claims of :meth:`CaptionBank.draw`.
        encoded: Their texts, encoded for the text side, with noise.

    Returns:
        ``caption``, ``region`` and ``somewhere``, each a scalar.
    """
    features = model.encode(normalise(batch['images'].permute(0, 3, 1, 2)))
    texts = model.encode_texts(encoded)
    embeddings = F.normalize(features.image_embedding.flatten(1), dim=-1)
    dense = F.normalize(features.dense_features, dim=1)
    true = truth(
        claims,
        batch['lesions'].cpu().numpy(),
        batch['present'].cpu().numpy(),
        batch['strength'].cpu().numpy(),
    )
    placed = model.logits(
        torch.einsum('bdhw,kd->bkhw', dense, texts[: 2 * _LESION_TEXTS])
    )
    hidden = ~batch['known'] & (batch['lesions'] == POLYP)
    return dict(
        caption=balanced_pair_loss(
            model.logits(texts @ embeddings.T), as_tensor(true).to(texts.device)
        ),
        region=dense_pair_loss(
            placed,
            cell_shares(batch['masks'], dense.shape[2:]),
            batch['known'],
            _LESION_TEXTS,
        ),
        somewhere=found_somewhere_loss(placed[:, :_LESION_TEXTS], hidden, _SOMEWHERE),
    )


def pretrain_endo(
    settings: EndoSettings,
    pack: Pack,
    imagenet: Path,
    work_dir: str | os.PathLike,
    device: str = 'cpu',
    log: Callable[[str], None] = print,
    bank: CaptionBank | None = None,
    workers: int = 1,
) -> EndoCLIP:
    """Train, resuming from the checkpoint in the work folder if there is one.

    Args:
        settings: The training.
        pack: Its images.
        imagenet: File of the image tower's initial weights.
        work_dir: Folder of the checkpoint.
        device: Where to train.
        log: Called with lines about the progress.
        bank: Encoded captions; None encodes them here.
        workers: Worker processes that make training images.

    Returns:
        The trained model.

    Raises:
        PretrainingError: The folder's checkpoint has other settings, or the loss is not
            finite.
    """
    model = _new_model(settings, imagenet)
    model = model.to(device, memory_format=torch.channels_last)
    optimizer = _make_optimizer(model, settings)
    training = Training(work_dir, settings, model, optimizer)
    bank = bank or _caption_bank(settings.model_name)
    model.train()
    # OpenCV's threads do not survive a fork: a worker would wait for them forever.
    cv2.setNumThreads(1)
    loader = DataLoader(
        EndoBatches(pack, settings),
        batch_size=None,
        sampler=range(training.begin, settings.steps),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    batches = iter(loader)

    def train_step(step: int) -> dict[str, Tensor]:
        for group in optimizer.param_groups:
            group['lr'] = group['peak'] * learning_share(settings, step)
        batch = {key: value.to(device) for key, value in next(batches).items()}
        claims, encoded = _draw_texts(bank, settings, step)
        losses = endo_losses(model, batch, claims, encoded.to(device))
        region = losses['region'] + 0.5 * losses['somewhere']
        total = losses['caption'] + settings.region_weight * region
        training.update(total, _MAX_LOGIT_SCALE)
        return losses

    training.run(train_step, log, _SAVE_EVERY)
    return model.eval()


def _new_model(settings: EndoSettings, imagenet: Path) -> EndoCLIP:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = EndoCLIP(settings.model_name, settings.frozen_blocks)
    load_imagenet(model.visual, imagenet)
    return model


def _caption_bank(model_name: str) -> CaptionBank:
    if has_sentence_text(model_name):
        return CaptionBank()
    return CaptionBank(partial(tokenize, CLIPSpec(model_name)))


def _draw_texts(
    bank: CaptionBank, settings: EndoSettings, step: int
) -> tuple[list[Claim], Tensor]:
    """Claims of a step and their encoded texts; sentence vectors get noise."""
    # A random stream separate from that of the step's images.
    generator = np.random.default_rng((settings.seed, step, 1))
    claims, encoded = bank.draw(generator)
    if not encoded.is_floating_point():
        return claims, encoded
    noise = generator.standard_normal(encoded.shape, dtype=np.float32)
    noise *= settings.sentence_noise / encoded.shape[1] ** 0.5
    return claims, encoded + as_tensor(noise)


def _make_optimizer(model: EndoCLIP, settings: EndoSettings) -> torch.optim.Optimizer:
    groups = []
    for tower in (True, False):
        for kernel in (True, False):
            params = [
                parameter
                for name, parameter in model.named_parameters()
                if parameter.requires_grad
                and name.startswith('visual.trunk.') == tower
                and (parameter.ndim > 1) == kernel
            ]
            peak = settings.tower_rate if tower else settings.learning_rate
            decay = settings.weight_decay if kernel else 0.0
            groups.append(dict(params=params, peak=peak, weight_decay=decay))
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=BETAS)
