"""Flags images that differ from the training sites of a model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.dataset import pseudo_collate
from torch import nn

from mcdrl_common.site_reference import SiteReference, SiteReferenceError
from mcdrl_mmseg.models.image_conditions import condition_dictionary, image_conditions

from .image_pipeline import as_image, build_image_pipeline


@dataclass(frozen=True)
class ImageFlag:
    """How an image compares with those of the training sites.

    Attributes:
        unusual: Whether its embedding is farther away than those of 97.5 % of the
            training images. This does not mean that the prediction is wrong.
        distance: See :meth:`~mcdrl_common.site_reference.SiteReference.distance`.
        more: Conditions whose score is above that of 97.5 % of every site's images.
        less: Conditions whose score is below that of 97.5 % of every site's images.
    """

    unusual: bool
    distance: float
    more: tuple[str, ...]
    less: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return dict(
            unusual=self.unusual,
            distance=round(self.distance, 4),
            more=list(self.more),
            less=list(self.less),
        )


def site_reference_of(
    model: nn.Module, source: str | os.PathLike = 'CHECKPOINT'
) -> SiteReference:
    """The reference statistics in a model's checkpoint.

    Args:
        model: From :func:`~mcdrl_mmseg.apis.checkpoint.load_segmentor`.
        source: Its checkpoint, for messages.

    Raises:
        SiteReferenceError: There are none, they are not usable, or of another
            dictionary; the message says how to add them.
        DictionaryError: The model names no imaging conditions.
    """
    dictionary = condition_dictionary(model)
    text = getattr(model, 'site_reference', None)
    add = f'python -m mcdrl_lab site-reference CONFIG {source}'
    if text is None:
        raise SiteReferenceError(
            f'{source} holds no reference statistics of its training sites to '
            f'compare images with. Add them: {add}'
        )
    reference = SiteReference.from_text(text, str(source))
    # The order may differ: MMEngine sorts the families of prompts in the config that it
    # saves. The statistics have the order of the entries.
    if (
        sorted(reference.conditions) != sorted(dictionary.prompts.confounder_names)
        or reference.fingerprint != dictionary.stored_fingerprint
        or len(reference.center) != dictionary.embed_dims
    ):
        raise SiteReferenceError(
            f'{source}: its reference statistics were made with other prompts or '
            f'another CLIP than its dictionary. Compute them again: {add}'
        )
    return reference


class ImageChecker:
    """Compares images with the training sites, one by one.

    Args:
        model: From :func:`~mcdrl_mmseg.apis.checkpoint.load_segmentor`.
        source: Its checkpoint, for messages.

    Raises:
        SiteReferenceError: See :func:`site_reference_of`.
        DictionaryError: See :func:`site_reference_of`.
    """

    def __init__(
        self, model: nn.Module, source: str | os.PathLike = 'CHECKPOINT'
    ) -> None:
        self.model = model
        self.reference = site_reference_of(model, source)
        self._pipeline = build_image_pipeline(model.cfg)

    def measure(self, image: str | os.PathLike | np.ndarray) -> tuple[np.ndarray, ...]:
        """Scores and embedding of an image.

        Args:
            image: A path, or (H, W, 3) uint8, blue first.

        Returns:
            (M,) score of each condition, and (d,) embedding, L2-normalised.

        Raises:
            ImageError: It cannot be read.
            SiteReferenceError: The model gives values that are not finite.
        """
        packed = self._pipeline(dict(img=as_image(image)))
        data = self.model.data_preprocessor(pseudo_collate([packed]), training=False)
        seen = image_conditions(self.model, data['inputs'])
        scores, embedding = seen.scores[0].cpu().numpy(), seen.embeddings[0].cpu()
        if not np.isfinite(scores).all() or not embedding.isfinite().all():
            raise SiteReferenceError(
                "the model's image tower gives NaN or infinite values for an image: "
                'its weights may be too large for its precision (try float32).'
            )
        return scores, embedding.numpy()

    def flag(self, image: str | os.PathLike | np.ndarray) -> ImageFlag:
        """Compare one image with the training sites.

        Args:
            image: See :meth:`measure`.
        """
        scores, embedding = self.measure(image)
        (flag,) = image_flags(self.reference, scores[None], embedding[None])
        return flag


def image_flags(
    reference: SiteReference, scores: np.ndarray, embeddings: np.ndarray
) -> Sequence[ImageFlag]:
    """Compare images with the training sites.

    Args:
        reference: Statistics of the training sites.
        scores: (n, M) scores of the conditions.
        embeddings: (n, d), L2-normalised.
    """
    distances = reference.distance(embeddings)
    return [
        ImageFlag(
            unusual=bool(distance > reference.farthest_usual),
            distance=float(distance),
            more=_named(reference, beyond == 1),
            less=_named(reference, beyond == -1),
        )
        for distance, beyond in zip(distances, reference.beyond(scores), strict=True)
    ]


def _named(reference: SiteReference, which: np.ndarray) -> tuple[str, ...]:
    return tuple(np.array(reference.conditions, dtype=object)[which])
