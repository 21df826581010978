"""The page's content for an image: pictures and numbers, ready for JSON."""

from __future__ import annotations

from typing import Any

import cv2
import matplotlib
import numpy as np
from torch import nn

from mcdrl_lab.pictures import image_uri, shrink
from mcdrl_lab.results.conformal_command import RISK_NAMES
from mcdrl_mmseg.apis.explanation import (
    Explanation,
    LesionProbability,
    explain,
    probability_at_gate,
)
from mcdrl_mmseg.apis.image_flags import ImageChecker
from mcdrl_mmseg.apis.image_pipeline import at_threshold
from mcdrl_mmseg.visualization.overlay import (
    HEAT_COLORMAP,
    heat_map,
    mask_overlay,
    outline,
)
from mcdrl_mmseg.visualization.padding import onto_image

MASK_THRESHOLD = 0.5
_SHOWN_SIDE = 1024


class Explainer:
    """Compute the answers of a model for the page.

    Args:
        model: See :func:`~mcdrl_mmseg.apis.explanation.explain`.
        conformal: A conformal threshold, whose mask is shown too; from
            :data:`mcdrl_common.threshold_file.CONFORMAL`.

    Raises:
        ValueError: The model cannot be explained, or the threshold lacks the
            description of its guarantee.
        DictionaryError: Its checkpoint has no dictionary.
        SiteReferenceError: Its statistics of the training sites are not usable.
    """

    def __init__(self, model: nn.Module, conformal: dict | None = None) -> None:
        self.model = model
        self.threshold = None if conformal is None else float(conformal['threshold'])
        self.guarantee = None if conformal is None else guarantee(conformal)
        # Fail at the start, not on the first request, if the model cannot be explained.
        blank = explain(model, np.zeros((64, 64, 3), np.uint8))
        self.gate = blank.gate
        self.class_names = blank.class_names
        self._checker = None
        if getattr(model, 'site_reference', None) is not None:
            self._checker = ImageChecker(model)

    def explanation(self, image: np.ndarray) -> dict[str, Any]:
        """Prediction and explanation of an image, at the model's own gate.

        Args:
            image: (H, W, 3) uint8, red first.

        Returns:
            See :func:`prediction_content` and :func:`explanation_content`; and
            ``flag``, how the image compares with the training sites, or None if the
            checkpoint has no statistics of them.
        """
        explanation = explain(self.model, image[..., ::-1], gate=self.gate)
        probability = LesionProbability(
            explanation.lesion_probability['gate'],
            explanation.calibrated_probability.get('gate'),
        )
        flag = None
        if self._checker is not None:
            flag = self._checker.flag(np.ascontiguousarray(image[..., ::-1])).to_dict()
        return {
            **prediction_content(image, probability, self.gate, self.threshold),
            **explanation_content(explanation),
            'flag': flag,
        }

    def prediction(self, image: np.ndarray, gate: float) -> dict[str, Any]:
        """The prediction alone, at any gate.

        Args:
            image: (H, W, 3) uint8, red first.
            gate: In [0, 1].

        Returns:
            See :func:`prediction_content`.

        Raises:
            ValueError: The gate is outside [0, 1].
        """
        probability = probability_at_gate(self.model, image[..., ::-1], gate)
        return prediction_content(image, probability, gate, self.threshold)


def guarantee(conformal: dict) -> str:
    """One sentence that says what a threshold guarantees and assumes.

    Args:
        conformal: From :data:`mcdrl_common.threshold_file.CONFORMAL`.

    Raises:
        ValueError: It lacks the risk that it bounds, or the sites it was chosen on.
    """
    sites, what = conformal.get('sites'), RISK_NAMES.get(str(conformal.get('risk')))
    if what is None or not isinstance(sites, list) or not sites:
        raise ValueError(
            'the file of --conformal does not say what its threshold guarantees '
            f"('risk' is {conformal.get('risk')!r}, 'sites' {sites!r}). Make it with: "
            'python -m mcdrl_lab conformal RECORDS --level LEVEL --out FILE'
        )
    return (
        f'The expected miss is at most {100 * conformal["level"]:.4g} % of {what}, on '
        f'average over new hospitals, if these are exchangeable with the {len(sites)} '
        'sites of the records, as if drawn from the same population.'
    )


def prediction_content(
    image: np.ndarray,
    probability: LesionProbability,
    gate: float,
    threshold: float | None = None,
) -> dict[str, Any]:
    """The content that depends on the gate.

    Args:
        image: (H, W, 3) uint8, red first.
        probability: Lesion probability, predicted at ``gate``.
        gate: Value of the gate.
        threshold: Threshold on the network's probability for the conformal mask; None
            shows no such mask.

    Returns:
        ``gate``; the picture ``mask``, from the network's probability, and its share
        of the pixels, ``marked``; the picture ``probability``, calibrated if the model
        has a calibration, whether it is, ``calibrated``, and its maximum, ``highest``;
        and ``conformal``, None or ``picture`` and ``marked`` of the conformal mask.
    """
    own = probability.network
    best = own if probability.calibrated is None else probability.calibrated
    small = shrink(image, _SHOWN_SIDE)
    mask = own > MASK_THRESHOLD
    conformal = None
    if threshold is not None:
        wide = at_threshold(own, threshold)
        conformal = {
            'picture': _mask_picture(small, wide),
            'marked': float(wide.mean()),
        }
    return {
        'gate': gate,
        'mask': _mask_picture(small, mask),
        'marked': float(mask.mean()),
        'probability': image_uri(
            heat_map(small, shrink(best, _SHOWN_SIDE), low=0, high=1)
        ),
        'calibrated': probability.calibrated is not None,
        'highest': float(best.max()),
        'conformal': conformal,
    }


def _mask_picture(small: np.ndarray, mask: np.ndarray) -> str:
    size = small.shape[1::-1]
    mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return image_uri(mask_overlay(small, mask))


def explanation_content(explanation: Explanation) -> dict[str, Any]:
    """The content that does not depend on the gate.

    Args:
        explanation: Explanation of one image.

    Returns:
        ``image``, the picture; ``width`` and ``height`` of the original image;
        ``similarity``, for each class its ``name``, ``picture`` and the cosines
        ``low`` and ``high`` of the first and last colour;
        ``kept``, the share of positions selected; ``confounders``, each with
        ``name`` and ``weight``, the largest weight first; ``attends``, whether the
        weights come from attention and so differ from image to image.
    """
    small = shrink(explanation.image, _SHOWN_SIDE)
    window = explanation.window
    kept = onto_image(explanation.kept.astype(np.uint8), small.shape[:2], window)
    weights = sorted(
        zip(explanation.confounder_names, explanation.attention.tolist()),
        key=lambda pair: -pair[1],
    )
    height, width = explanation.image.shape[:2]
    return {
        'image': image_uri(small),
        'width': width,
        'height': height,
        'similarity': [
            {
                'name': name,
                'picture': image_uri(
                    outline(heat_map(small, values, window=window), kept.astype(bool))
                ),
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
    """The colours of the heat maps, from low (left) to high: (1, 256, 3) uint8."""
    colors = matplotlib.colormaps[HEAT_COLORMAP](np.linspace(0, 1, 256))
    return np.rint(colors[None, :, :3] * 255).astype(np.uint8)
