"""Turns one evaluated image into its record, a dict for JSON."""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
from torch import Tensor

from mcdrl_common.metric_names import CONFIDENCES
from mcdrl_common.overlap_scores import (
    class_counts,
    foreground_counts,
    mean_over_thresholds,
    none_if_nan,
    overlap_scores,
)
from mcdrl_common.own_confidence import own_confidence

from .lesion_matching import lesion_counts
from .pixel_counts import confusion_matrix, threshold_histograms
from .sample_reader import EvaluatedImage
from .surface import surface_scores, tolerance_in_pixels

UNNAMED_LESION = 'lesion'
"""Lesion type of lesions that the dataset does not name."""


def image_record(
    image: EvaluatedImage,
    class_names: Sequence[str] = (),
    ignore_index: int = 255,
    surface_tolerance: float | str | None = None,
    thresholds: bool = True,
    confidence: bool = True,
) -> dict:
    """Measure one image.

    Whether an image has a lesion is decided by its mask, not by its metainfo.
    Scores that need a lesion are None in an image without one, which has
    ``false_positive`` and ``false_area`` instead. An image whose pixels are all
    ignored has neither.

    Args:
        image: Prediction, ground truth and metainfo.
        class_names: Names of the classes, the background first; used for
            ``classes`` when there is more than one lesion class.
        ignore_index: Label of pixels without ground truth.
        surface_tolerance: See :func:`~.surface.tolerance_in_pixels`; None leaves
            the distances out.
        thresholds: Whether to average over thresholds, if there is a probability.
        confidence: Whether to add the network's confidence, if there is a probability.

    Returns:
        The keys of the per-image record, in docs/metrics.md.

    Raises:
        ValueError: If sizes or labels do not fit; the message names the image.
    """
    matrix = _confusion_matrix(image, ignore_index)
    counts = foreground_counts(matrix)
    pixels = sum(counts)
    has_lesion = counts.tp + counts.fn > 0
    lesion_free = pixels > 0 and not has_lesion
    valid = image.target != ignore_index
    predicted, foreground = (image.labels != 0) & valid, (image.target != 0) & valid
    hd95 = nsd = dice_mean = iou_mean = None
    if has_lesion and surface_tolerance is not None:
        tolerance = tolerance_in_pixels(surface_tolerance, *image.target.shape)
        hd95, nsd = surface_scores(predicted, foreground, tolerance)
    if has_lesion and thresholds and image.probability is not None:
        histograms = threshold_histograms(image.probability, foreground, valid)
        dice_mean, iou_mean = mean_over_thresholds(histograms)
    record = dict(
        image=image_name(image.img_path, image.site),
        site=image.site,
        sequence=image.sequence,
        lesion_classes=_lesion_classes(image.lesion_classes, has_lesion),
        has_lesion=has_lesion,
        **{key: none_if_nan(v) for key, v in overlap_scores(counts).items()},
        hd95=hd95,
        nsd=nsd,
        dice_mean256=dice_mean,
        iou_mean256=iou_mean,
        false_positive=counts.fp > 0 if lesion_free else None,
        false_area=counts.fp / pixels if lesion_free else None,
        **counts._asdict(),
        pixels=pixels,
        lesions=lesion_counts(predicted, foreground),
        **(_confidences(image, valid) if confidence else dict.fromkeys(CONFIDENCES)),
    )
    if image.num_classes > 2:
        record['classes'] = _class_records(matrix, class_names)
    return record


def _confusion_matrix(image: EvaluatedImage, ignore_index: int) -> np.ndarray:
    try:
        return confusion_matrix(
            image.labels, image.target, image.num_classes, ignore_index
        )
    except ValueError as error:
        raise ValueError(f'{image.img_path or ""}: {error}') from error


def image_name(img_path: str | None, site: str) -> str:
    """Name of an image that is the same on every machine.

    Args:
        img_path: Path of the image file, or None.
        site: Name of its site.

    Returns:
        The path below the folder named like the site, with forward slashes
        (``images/a.jpg``); the file name if the path has no such folder; ``''``
        without a path.
    """
    if not img_path:
        return ''
    parts = PurePath(img_path).parts
    folders = parts[:-1]
    if site not in folders:
        return parts[-1]
    below = len(folders) - folders[::-1].index(site)
    return '/'.join(parts[below:])


def _confidences(image: EvaluatedImage, valid: Tensor) -> dict[str, float | None]:
    """The network's confidence scores; None without a probability."""
    if image.probability is None:
        return dict.fromkeys(CONFIDENCES)
    maps = image.probability, image.labels != 0, valid
    return own_confidence(*(pixels.cpu().numpy() for pixels in maps))


def _lesion_classes(named: Sequence[str] | None, has_lesion: bool) -> list[str]:
    """Lesion types of an image; none if its mask has no lesion."""
    if not has_lesion:
        return []
    return list(named) if named else [UNNAMED_LESION]


def _class_records(matrix: np.ndarray, names: Sequence[str]) -> dict[str, dict]:
    """Counts and scores of every class but the background, one against the rest."""
    counts = class_counts(matrix)
    scores = overlap_scores(counts)
    return {
        names[k] if k < len(names) else f'class_{k}': {
            **{key: none_if_nan(scores[key][k]) for key in scores},
            **{key: int(value[k]) for key, value in counts._asdict().items()},
        }
        for k in range(1, len(matrix))
    }
