"""Compares a new site's images, without masks, with a checkpoint's training sites."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcdrl_common.metric_names import CONFIDENCES
from mcdrl_common.own_confidence import own_confidence
from mcdrl_common.site_reference import SiteReference
from mcdrl_lab.errors import ProtocolError
from mcdrl_mmseg.apis.image_flags import ImageChecker, ImageFlag, image_flags
from mcdrl_mmseg.apis.inferencer import MCDRLInferencer
from mcdrl_mmseg.apis.inputs import InputFile, find_inputs, read_images

from .dice_predictors import BOTH, CONDITIONS, CONFIDENCE, EMBEDDING, features_of
from .drift import ConditionDrift, condition_drift
from .expected_dice import DiceModel, SiteDice, fit_dice
from .recorded_dice import RecordedImage, confidences

KIND = 'mcdrl_lab.site_check'
LOW_DICE = 0.5


@dataclass(frozen=True)
class CheckedImage:
    """One image of the site.

    Attributes:
        file: The image's file.
        number: Number of the image in the file, from 1; None if the file has only one.
        flag: How the image compares with the training sites.
        expected_dice: Expected Dice if the image shows a lesion; None without records.
        self_dice: The model's confidence in its mask: the soft Dice of the mask with
            its own probability. None if no predictor uses it.
    """

    file: InputFile
    number: int | None
    flag: ImageFlag
    expected_dice: float | None
    self_dice: float | None = None

    @property
    def name(self) -> str:
        """Name for messages."""
        name = str(self.file.path)
        return name if self.number is None else f'{name}, image {self.number}'

    def pixels(self) -> np.ndarray:
        """Read it again: (H, W, 3) uint8, blue first."""
        place = (self.number or 1) - 1
        return next(itertools.islice(read_images(self.file), place, None))


@dataclass(frozen=True)
class SiteCheck:
    """The result of a site check.

    Attributes:
        checkpoint: File of the model.
        reference: Statistics of its training sites.
        images: The site's images, in input order.
        conditions: Drift of each imaging condition.
        dice: Expected Dice, or None without records.
        dice_models: Predictor -> regression fitted to the records; ``dice`` comes from
            the first one. Empty without records.
        problems: Skipped file -> reason.
        all_equal: Whether all images have the same CLIP embedding.
    """

    checkpoint: str
    reference: SiteReference
    images: list[CheckedImage]
    conditions: list[ConditionDrift]
    dice: SiteDice | None
    dice_models: dict[str, DiceModel]
    problems: dict[str, str]
    all_equal: bool

    @property
    def unusual(self) -> float:
        """Share of the images with a larger distance than 97.5 % of training images."""
        return float(np.mean([image.flag.unusual for image in self.images]))

    @property
    def differing(self) -> list[ConditionDrift]:
        """Conditions that differ from all training sites, the largest effect first."""
        found = [drift for drift in self.conditions if drift.differs]
        return sorted(found, key=lambda drift: -abs(drift.effect))

    @property
    def by_distance(self) -> list[CheckedImage]:
        """The most unusual image first."""
        return sorted(self.images, key=lambda image: -image.flag.distance)

    def to_dict(self, low_dice: float = LOW_DICE) -> dict[str, Any]:
        """The result as plain data for JSON.

        Args:
            low_dice: Expected Dice below which an image is flagged.
        """
        return dict(
            kind=KIND,
            schema=1,
            checkpoint=self.checkpoint,
            training_sites=list(self.reference.sites),
            unusual=self.unusual,
            conditions=[asdict(drift) for drift in self.conditions],
            expected_dice=self._expected(),
            images=[_plain(image, low_dice) for image in self.images],
            skipped=self.problems,
        )

    def _expected(self) -> dict[str, Any] | None:
        if self.dice is None:
            return None
        ranks = {
            name: None if math.isnan(m.rank_correlation) else m.rank_correlation
            for name, m in self.dice_models.items()
        }
        return dict(
            mean=self.dice.mean,
            low=self.dice.low,
            high=self.dice.high,
            predicted_from=next(iter(self.dice_models)),
            rank_correlations=ranks,
        )


def _plain(image: CheckedImage, low_dice: float) -> dict[str, Any]:
    values = dict(file_name=str(image.file.path), **image.flag.to_dict())
    if image.number is not None:
        values['frame'] = image.number
    if image.expected_dice is not None:
        values['expected_dice'] = round(image.expected_dice, 4)
        values['low_dice'] = image.expected_dice < low_dice
    if image.self_dice is not None:
        values['self_dice'] = round(image.self_dice, 4)
    return values


def check_site(
    inferencer: MCDRLInferencer,
    checkpoint: str | os.PathLike,
    names: Sequence[str],
    recorded: Callable[..., list[RecordedImage]] | None = None,
    leave_out: Path | None = None,
) -> SiteCheck:
    """Compare images of a site with the training sites.

    Files that cannot be read are skipped and named in the result.

    Args:
        inferencer: The model.
        checkpoint: The model's file, for messages.
        names: Files, folders and patterns, as for ``tools/predict.py``.
        recorded: Returns the recorded images to predict Dice from, given
            ``model_hash``, as ``recorded_dice`` does; None skips the expected Dice.
        leave_out: A folder that is not searched: that of the results.

    Raises:
        ProtocolError: No image can be read, or the records cannot be used.
        SiteReferenceError: The checkpoint has no usable statistics.
        DictionaryError: The model names no imaging conditions.
    """
    checker = ImageChecker(inferencer.model, checkpoint)
    models: dict[str, DiceModel] = {}
    if recorded is not None:
        # Do this first: bad records are refused before the site's images are read.
        own = getattr(inferencer.model, 'model_hash', '')
        models = _dice_models(checker, recorded(model_hash=own))
    measure = _image_measure(inferencer, checker, CONFIDENCE in models)
    inputs = find_inputs(names, leave_out=leave_out)
    problems = dict(inputs.problems)
    found, rows = _measure_images(inputs.files, measure, problems)
    if not rows:
        why = '; '.join(problems.values()) or 'none was given'
        raise ProtocolError(f'no image could be read: {why}')
    scores, embeddings, confidence = map(np.stack, zip(*rows, strict=True))
    dice = None
    if models:
        name, model = next(iter(models.items()))
        dice = model.predict(features_of(scores, embeddings, confidence)[name])
    count = len(rows)
    flags = image_flags(checker.reference, scores, embeddings)
    expected = [None] * count if dice is None else dice.images.tolist()
    self_dice = confidence[:, 0].tolist() if CONFIDENCE in models else [None] * count
    images = [
        CheckedImage(file, number, *measures)
        for (file, number), *measures in zip(
            found, flags, expected, self_dice, strict=True
        )
    ]
    return SiteCheck(
        checkpoint=str(checkpoint),
        reference=checker.reference,
        images=images,
        conditions=condition_drift(checker.reference, scores),
        dice=dice,
        dice_models=models,
        problems=problems,
        all_equal=count > 1 and float(np.ptp(embeddings, axis=0).max()) < 1e-6,
    )


def _measure_images(
    files: Sequence[InputFile],
    measure: Callable[[np.ndarray], tuple[np.ndarray, ...]],
    problems: dict[str, str],
) -> tuple[list[tuple[InputFile, int | None]], list[tuple[np.ndarray, ...]]]:
    """File, frame and measures of each image; adds unreadable files to problems."""
    found: list[tuple[InputFile, int | None]] = []
    rows: list[tuple[np.ndarray, ...]] = []
    for file in files:
        own: list[tuple[np.ndarray, ...]] = []
        try:
            # One by one: if a video breaks off, the frames before are kept.
            for image in read_images(file):
                own.append(measure(image))
        # Decoders raise many types of errors.
        except Exception as error:
            problems[str(file.path)] = str(error).strip() or type(error).__name__
        found += [(file, n if len(own) > 1 else None) for n in range(1, len(own) + 1)]
        rows += own
    return found, rows


def _image_measure(
    inferencer: MCDRLInferencer, checker: ImageChecker, with_confidence: bool
) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """Function that measures an image: scores, embedding and the two confidences."""

    def measure(image: np.ndarray) -> tuple[np.ndarray, ...]:
        sure = np.full(len(CONFIDENCES), np.nan)
        if with_confidence:
            (prediction,) = inferencer.predict([image])
            # Uncalibrated, as in the metric that wrote the records.
            own = prediction.uncalibrated_probability
            values = own_confidence(own, prediction.labels != 0)
            sure = np.array([values[name] for name in CONFIDENCES], float)
        return (*checker.measure(image), sure)

    return measure


def _dice_models(
    checker: ImageChecker, images: Sequence[RecordedImage]
) -> dict[str, DiceModel]:
    """Predictor -> fitted model; the first one is used for the expected Dice."""
    dice, sites = [i.dice for i in images], [i.site for i in images]
    seen = zip(*(checker.measure(image.path) for image in images), strict=True)
    scores, embeddings = (np.stack(parts) for parts in seen)
    # Older records lack the confidence.
    sure = all(image.confidence is not None for image in images)
    features = features_of(scores, embeddings, confidences(images) if sure else None)
    # Ranked by their results on draw 7 of EndoSim, which is used in no reported result.
    order = (CONFIDENCE, EMBEDDING, CONDITIONS, BOTH)
    return {n: fit_dice(features[n], dice, sites) for n in order if n in features}


def overlays(
    inferencer: MCDRLInferencer, images: Sequence[CheckedImage]
) -> Iterator[np.ndarray]:
    """Images with the predicted lesions drawn on them.

    Args:
        inferencer: The model.
        images: Images to draw.

    Yields:
        (H, W, 3) uint8, red first.
    """
    from mcdrl_mmseg.visualization.overlay import mask_overlay

    for image in images:
        pixels = image.pixels()
        (prediction,) = inferencer.predict([pixels])
        yield mask_overlay(pixels[..., ::-1].copy(), prediction.labels)
