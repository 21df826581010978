"""Writers of masks, probabilities, COCO, contours and flags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from ..inferencer import Prediction
from .output_base import (
    LESION_VALUE,
    Frame,
    ImageOutput,
    JSONOutput,
    Output,
    run_lengths,
)
from .overlay_output import OverlayOutput

_PROBABILITY_STEPS = 2**16 - 1


class MaskOutput(ImageOutput):
    """``masks/NAME.png``: 0 and 255 for one lesion class, class numbers for several."""

    folder = 'masks'

    def picture(self, frame: Frame, prediction: Prediction) -> np.ndarray:
        """(H, W) uint8."""
        if len(self.classes) > 2:
            return prediction.labels
        return np.where(prediction.labels > 0, LESION_VALUE, 0).astype(np.uint8)


class ProbabilityOutput(ImageOutput):
    """``probabilities/NAME.png``: lesion probability times 65535, in 16 bits."""

    folder = 'probabilities'

    def picture(self, frame: Frame, prediction: Prediction) -> np.ndarray:
        """(H, W) uint16."""
        scaled = np.rint(prediction.lesion_probability * _PROBABILITY_STEPS)
        return scaled.astype(np.uint16)


class CocoOutput(JSONOutput):
    """``coco_rle.json``: COCO's format, one annotation per connected region."""

    file_name = 'coco_rle.json'

    def __init__(self, out: Path, classes: Sequence[str]) -> None:
        super().__init__(out, classes)
        self.annotations: list[dict] = []

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Note the regions of one image."""
        image = self._note_image(frame)
        for label, region, score in regions(prediction):
            code = run_lengths(region)
            self.annotations.append(
                dict(
                    id=len(self.annotations) + 1,
                    image_id=image['id'],
                    category_id=label,
                    segmentation=code,
                    area=int(region.sum()),
                    bbox=coco_mask.toBbox(code).tolist(),
                    iscrowd=0,
                    score=score,
                )
            )

    def document(self) -> dict:
        """Images, annotations and categories."""
        categories = [
            dict(id=label, name=name)
            for label, name in enumerate(self.classes)
            if label > 0
        ]
        return dict(
            images=self.images, annotations=self.annotations, categories=categories
        )


class ContourOutput(JSONOutput):
    """``contours.json``: outlines of the regions, with separate entries for holes."""

    file_name = 'contours.json'

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Note the regions of one image."""
        self._note_image(frame)['regions'] = [
            dict(
                class_name=self.classes[label],
                score=score,
                area=int(region.sum()),
                contours=_contours(region),
            )
            for label, region, score in regions(prediction)
        ]


class FlagOutput(JSONOutput):
    """``flags.json``: comparison of each image with the training sites."""

    file_name = 'flags.json'

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Add the flag of one image."""
        assert prediction.flag is not None
        self._note_image(frame).update(prediction.flag.to_dict())


OUTPUTS: dict[str, type[Output]] = {
    'masks': MaskOutput,
    'overlays': OverlayOutput,
    'probabilities': ProbabilityOutput,
    'coco': CocoOutput,
    'contours': ContourOutput,
    'flags': FlagOutput,
}


def regions(prediction: Prediction) -> Iterator[tuple[int, np.ndarray, float]]:
    """Connected regions, diagonal neighbours joined.

    Args:
        prediction: Prediction for one image.

    Yields:
        Label, region (H, W) bool, and the mean lesion probability in the region.
    """
    for label in np.unique(prediction.labels):
        if label == 0:
            continue
        count, numbers = cv2.connectedComponents(
            (prediction.labels == label).astype(np.uint8), connectivity=8
        )
        for number in range(1, count):
            region = numbers == number
            score = float(prediction.lesion_probability[region].mean())
            yield int(label), region, round(score, 4)


def _contours(region: np.ndarray) -> list[dict]:
    found, hierarchy = cv2.findContours(
        region.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
    )
    return [
        dict(hole=bool(parent >= 0), points=contour[:, 0].tolist())
        for contour, (_, _, _, parent) in zip(found, hierarchy[0])
    ]
