"""What the page shows of an image: pictures and numbers, ready for JSON."""

from __future__ import annotations

from typing import Any

import cv2
import matplotlib
import numpy as np
from torch import nn

from mcdrl_mmseg.apis.explanation import Explanation, explain, predict_at_gate
from mcdrl_mmseg.apis.image_flags import ImageChecker
from mcdrl_mmseg.visualization.overlay import (
    HEAT_COLORMAP,
    heat_map,
    mask_overlay,
    outline,
)

from .pictures import data_url, shrink

MASK_THRESHOLD = 0.5
_SHOWN_SIDE = 1024


class Explainer:
    """A model and the questions that the page asks it.

    Args:
        model: See :func:`~mcdrl_mmseg.apis.explanation.explain`.

    Raises:
        ValueError: The model cannot be explained.
        DictionaryError: Its checkpoint holds no dictionary.
        SiteReferenceError: Its statistics of the training sites are not usable.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        # A model that cannot be explained is noticed before anybody opens the page.
        blank = explain(model, np.zeros((64, 64, 3), np.uint8))
        self.gate = blank.gate
        self.class_names = blank.class_names
        self._checker = None
        if getattr(model, 'site_reference', None) is not None:
            self._checker = ImageChecker(model)

    def whole(self, image: np.ndarray) -> dict[str, Any]:
        """All there is to see, at the model's own gate.

        Args:
            image: (H, W, 3) uint8, red first.

        Returns:
            See :func:`predicted` and :func:`seen`; and ``flag``, how the image compares
            with the training sites, or None where the checkpoint cannot tell.
        """
        explanation = explain(self.model, image[..., ::-1], gate=self.gate)
        probability = explanation.lesion_probability['gate']
        flag = None
        if self._checker is not None:
            flag = self._checker.flag(np.ascontiguousarray(image[..., ::-1])).to_dict()
        return {
            **predicted(image, probability, self.gate),
            **seen(explanation),
            'flag': flag,
        }

    def at_gate(self, image: np.ndarray, gate: float) -> dict[str, Any]:
        """The prediction alone, at any gate.

        Args:
            image: (H, W, 3) uint8, red first.
            gate: In [0, 1].

        Returns:
            See :func:`predicted`.

        Raises:
            ValueError: The gate is outside [0, 1].
        """
        probability = predict_at_gate(self.model, image[..., ::-1], gate)
        return predicted(image, probability, gate)


def predicted(
    image: np.ndarray, probability: np.ndarray, gate: float
) -> dict[str, Any]:
    """What depends on the gate.

    Args:
        image: (H, W, 3) uint8, red first.
        probability: (H, W) of a lesion.
        gate: That it was predicted at.

    Returns:
        ``gate``, the pictures ``mask`` and ``probability``, and ``marked``, the share
        of pixels in the mask.
    """
    small = shrink(image, _SHOWN_SIDE)
    mask = cv2.resize(
        (probability > MASK_THRESHOLD).astype(np.uint8),
        small.shape[1::-1],
        interpolation=cv2.INTER_NEAREST,
    )
    shown = shrink(probability, _SHOWN_SIDE)
    return {
        'gate': gate,
        'mask': data_url(mask_overlay(small, mask)),
        'probability': data_url(heat_map(small, shown, low=0, high=1)),
        'marked': float(np.mean(probability > MASK_THRESHOLD)),
    }


def seen(explanation: Explanation) -> dict[str, Any]:
    """What does not depend on the gate.

    Args:
        explanation: Of one image.

    Returns:
        ``image``, the picture; ``width`` and ``height``, of the image itself;
        ``similarity``, for each class its ``name``, ``picture`` and the cosines
        ``low`` and ``high`` of the first and last colour;
        ``kept``, the share of positions selected; ``confounders``, each with
        ``name`` and ``weight``, the heaviest first; ``attends``, whether the weights
        are the image's own.
    """
    small = shrink(explanation.image, _SHOWN_SIDE)
    kept = cv2.resize(
        explanation.kept.astype(np.uint8),
        small.shape[1::-1],
        interpolation=cv2.INTER_NEAREST,
    ).astype(bool)
    weights = sorted(
        zip(explanation.confounder_names, explanation.attention.tolist()),
        key=lambda pair: -pair[1],
    )
    height, width = explanation.image.shape[:2]
    return {
        'image': data_url(small),
        'width': width,
        'height': height,
        'similarity': [
            {
                'name': name,
                'picture': data_url(outline(heat_map(small, values), kept)),
                'low': float(values.min()),
                'high': float(values.max()),
            }
            for name, values in zip(explanation.class_names, explanation.similarity)
        ],
        'kept': float(explanation.kept.mean()),
        'confounders': [{'name': name, 'weight': weight} for name, weight in weights],
        'attends': explanation.approximation == 'attention',
    }


def color_scale() -> np.ndarray:
    """The colours of the heat-maps, low left and high right: (1, 256, 3) uint8."""
    colors = matplotlib.colormaps[HEAT_COLORMAP](np.linspace(0, 1, 256))
    return np.rint(colors[None, :, :3] * 255).astype(np.uint8)
