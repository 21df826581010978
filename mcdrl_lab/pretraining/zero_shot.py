"""Zero-shot scores of a CLIP on scenes that the training never saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from mcdrl_lab.kept_map import kept_map
from mcdrl_mmseg.clip.text import embed_texts
from mcdrl_mmseg.clip.tower_features import resnet_features
from mcdrl_mmseg.clip.towers import CLIPSpec, build_image_tower, load_tower_weights
from mcdrl_mmseg.models.region_selector import CLIPRegionSelector
from mcdrl_mmseg.prompts import PromptSet

from .captions import HEALTHY, PROMPTS
from .encoding import Encoded, encode_batches
from .scene_pool import ScenePool

_BATCH = 100
# A selection that keeps at least this share of a lesion has found it.
_FOUND_SHARE = 0.9


@dataclass(frozen=True)
class ZeroShotScores:
    """What texts alone find in unseen scenes.

    Args:
        lesion_accuracy: Share of the scenes with a lesion whose class has the highest
            cosine among the class texts.
        confounder_auc: Confounder's words -> area under the ROC curve of their cosine:
            scenes with the confounder against scenes without it.
        lesions_kept: Share of the scenes with a lesion in which the region selection
            keeps at least 90 % of its area.
        mean_kept: Mean share of the lesion's area that is kept.
    """

    lesion_accuracy: float
    confounder_auc: dict[str, float]
    lesions_kept: float
    mean_kept: float


def encode_scenes(spec: CLIPSpec, pool: ScenePool, dense_mode: str) -> Encoded:
    """Run the image tower over a pool.

    Args:
        spec: A model with a ResNet image tower.
        pool: The scenes.
        dense_mode: See :mod:`mcdrl_mmseg.clip.dense`.
    """
    tower = build_image_tower(spec)
    if spec.pretrained is not None:
        load_tower_weights(tower, spec, 'visual.')
    tower.eval()
    batches = (
        pool.images[start : start + _BATCH].copy()
        for start in range(0, len(pool.images), _BATCH)
    )
    return encode_batches(
        batches, lambda batch: resnet_features(tower, batch, (), dense_mode)
    )


def text_vectors(spec: CLIPSpec, prompts: PromptSet) -> dict[str, Tensor]:
    """Embed all texts of a prompt set in one run of the text tower.

    Args:
        spec: The model.
        prompts: The words.

    Returns:
        Text -> (d,) L2-normalised.
    """
    texts = [*prompts.class_texts, *prompts.confounder_texts]
    return dict(zip(texts, embed_texts(spec, texts), strict=True))


def score_zero_shot(
    vectors: Mapping[str, Tensor],
    pool: ScenePool,
    encoded: Encoded,
    kept: np.ndarray,
    prompts: PromptSet = PROMPTS,
) -> ZeroShotScores:
    """Compare scenes with texts.

    Args:
        vectors: Result of :func:`text_vectors`.
        pool: The scenes, with the truth about them.
        encoded: Result of :func:`encode_scenes`.
        kept: Result of :func:`kept_shares`. It does not depend on the order of the
            classes, so one result serves all orders.
        prompts: The words; the same words in another order are a control.
    """
    classes = torch.stack([vectors[text] for text in prompts.class_texts])
    conditions = torch.stack([vectors[text] for text in prompts.confounder_texts])
    diseased = pool.lesions != HEALTHY
    guessed = (encoded.embeddings @ classes.T).argmax(dim=1).numpy()
    cosines = (encoded.embeddings @ conditions.T).numpy()
    auc = {
        name: float(roc_auc_score(pool.conditions[:, number], cosines[:, number]))
        for number, name in enumerate(PROMPTS.confounder_names)
    }
    visible = pool.masks.any(axis=(1, 2))
    return ZeroShotScores(
        lesion_accuracy=float((guessed == pool.lesions)[diseased].mean()),
        confounder_auc=auc,
        lesions_kept=float((kept[visible] >= _FOUND_SHARE).mean()),
        mean_kept=float(kept[visible].mean()),
    )


def kept_shares(
    encoded: Encoded, classes: Tensor, masks: np.ndarray, ratio: float = 0.5
) -> np.ndarray:
    """Share of each lesion's area that lies in selected cells.

    Args:
        encoded: The scenes.
        classes: e_k, (K, d).
        masks: (n, H, W) bool.
        ratio: alpha.

    Returns:
        (n,); 0 for scenes without lesion.
    """
    dense = encoded.dense
    _, indices = CLIPRegionSelector(ratio)(dense, classes)
    kept = kept_map(indices, dense.shape[2:], masks.shape[1:])[:, 0].bool()
    inside = (kept.numpy() & masks).sum(axis=(1, 2))
    return inside / np.maximum(masks.sum(axis=(1, 2)), 1)


def misassigned(prompts: PromptSet, seed: int) -> PromptSet:
    """The same words, shuffled among the classes and among the confounders.

    Args:
        prompts: The words.
        seed: Seed of the shuffle.
    """
    generator = np.random.default_rng(seed)
    return PromptSet(
        tuple(generator.permutation(prompts.classes).tolist()),
        {'dealt out': tuple(generator.permutation(prompts.confounder_names).tolist())},
        class_template=prompts.class_template,
        confounder_template=prompts.confounder_template,
    )
