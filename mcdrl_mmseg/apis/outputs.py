"""Files that predictions are written to, one class a kind."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from pycocotools import mask as coco_mask
from torch import nn

from mcdrl_common.atomic_write import atomic_write, write_bytes, write_text
from mcdrl_mmseg.visualization.overlay import mask_overlay

from .image_flags import ImageChecker
from .image_pipeline import at_threshold
from .inferencer import Prediction
from .inputs import InputFile, Kind, frame_rate
from .video_times import ShownFrames, at_constant_rate, frame_times
from .written_files import OutputError, WrittenFiles, output_errors

_LESION_VALUE = 255
_PROBABILITY_STEPS = 2**16 - 1
_VIDEO_CODEC = 'mp4v'


@dataclass(frozen=True)
class Frame:
    """One image of an input.

    Attributes:
        file: The input.
        number: Which of its images, from 1; None if it holds but one.
        image: (H, W, 3) uint8, blue first.
    """

    file: InputFile
    number: int | None
    image: np.ndarray

    @property
    def name(self) -> str:
        """For the files that are made of it: ``NAME``, or ``FILE.mp4/000001``."""
        if self.number is None:
            return self.file.name
        return f'{sequence_name(self.file)}/{self.number:06d}'


def sequence_name(file: InputFile) -> str:
    """Name of the folder for the images of a video or a DICOM object of several."""
    return file.name + file.path.suffix


class Output(ABC):
    """Writes one kind of result.

    Args:
        out: Folder of all results.
        classes: Names of the classes, the background first.
    """

    def __init__(self, out: Path, classes: Sequence[str]) -> None:
        self.out = out
        self.classes = tuple(classes)
        self.written = WrittenFiles(out)

    def use_model(self, model: nn.Module) -> None:  # noqa: B027
        """The model that predictions will be of, before anything is written.

        Args:
            model: From :func:`~mcdrl_mmseg.apis.checkpoint.load_segmentor`.
        """

    @abstractmethod
    def targets(self, file: InputFile) -> list[Path]:
        """Files or folders that may be written for an input.

        Args:
            file: The input.
        """

    @abstractmethod
    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Write, or note down, one prediction.

        Args:
            frame: The image.
            prediction: Of it.
        """

    def close_file(self) -> None:  # noqa: B027
        """No further image of the current input comes."""

    def abandon(self) -> None:  # noqa: B027
        """An error is being handled, and the run ends with it."""

    def finish(self) -> None:  # noqa: B027
        """No further prediction comes."""


class _ImageOutput(Output):
    """One PNG file an image."""

    folder: ClassVar[str]

    def targets(self, file: InputFile) -> list[Path]:
        """The PNG file, or the folder of those of a sequence."""
        places = [self.out / self.folder / f'{file.name}.png']
        if file.kind is not Kind.IMAGE:
            places.append(self.out / self.folder / sequence_name(file))
        return places

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Write one file."""
        path = self.out / self.folder / f'{frame.name}.png'
        with output_errors(path):
            _write_png(path, self.picture(frame, prediction))
            self.written.add(path)

    @abstractmethod
    def picture(self, frame: Frame, prediction: Prediction) -> np.ndarray:
        """What OpenCV is to write."""


class MaskOutput(_ImageOutput):
    """``masks/NAME.png``: 0 and 255 of one lesion class, class numbers of several."""

    folder = 'masks'

    def picture(self, frame: Frame, prediction: Prediction) -> np.ndarray:
        """(H, W) uint8."""
        if len(self.classes) > 2:
            return prediction.labels
        return np.where(prediction.labels > 0, _LESION_VALUE, 0).astype(np.uint8)


class ProbabilityOutput(_ImageOutput):
    """``probabilities/NAME.png``: lesion probability times 65535, in 16 bits."""

    folder = 'probabilities'

    def picture(self, frame: Frame, prediction: Prediction) -> np.ndarray:
        """(H, W) uint16."""
        scaled = np.rint(prediction.lesion_probability * _PROBABILITY_STEPS)
        return scaled.astype(np.uint16)


class OverlayOutput(_ImageOutput):
    """``overlays/NAME.png``; of a video ``overlays/NAME.mp4``, all frames in one."""

    folder = 'overlays'

    def __init__(self, out: Path, classes: Sequence[str]) -> None:
        super().__init__(out, classes)
        self._video: cv2.VideoWriter | None = None
        self._path, self._frames = out, 0
        self._shown = ShownFrames(0.0, ())
        self._open_files = ExitStack()

    def targets(self, file: InputFile) -> list[Path]:
        """The PNG file or the video."""
        if file.kind is Kind.VIDEO:
            return [self._video_path(file)]
        return super().targets(file)

    def _video_path(self, file: InputFile) -> Path:
        return self.out / self.folder / f'{file.name}.mp4'

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Write one file, or a frame of the open video."""
        if frame.file.kind is not Kind.VIDEO:
            super().add(frame, prediction)
            return
        video = self._video or self._open(frame)
        picture = self.picture(frame, prediction)
        # MPEG-4 drops the last row or column of an odd size.
        height, width = picture.shape[:2]
        edges = (0, height % 2, 0, width % 2)
        picture = cv2.copyMakeBorder(picture, *edges, cv2.BORDER_REPLICATE)
        for _ in range(self._shown.count(frame.number or 1)):
            video.write(picture)
            self._frames += 1

    def _open(self, frame: Frame) -> cv2.VideoWriter:
        path = self._video_path(frame.file)
        with output_errors(path):
            temporary = self._open_files.enter_context(atomic_write(path))
        self._path, self._frames = path, 0
        # Runs once the video is released: OpenCV is silent about a full disk.
        self._open_files.callback(self._check_length, temporary)
        rate = frame_rate(frame.file)
        self._shown = at_constant_rate(frame_times(frame.file), rate)
        height, width = frame.image.shape[:2]
        video = cv2.VideoWriter(
            str(temporary),
            cv2.VideoWriter_fourcc(*_VIDEO_CODEC),
            self._shown.rate,
            (width + width % 2, height + height % 2),
        )
        # Runs before the file is moved into place: a video is whole when released.
        self._open_files.callback(video.release)
        self._video = video
        if not video.isOpened():
            raise OutputError(
                f'{path}: OpenCV here cannot write MPEG-4 video of {width} x {height} '
                'pixels. Leave overlays out (--save masks).'
            )
        return video

    def picture(self, frame: Frame, prediction: Prediction) -> np.ndarray:
        """(H, W, 3) uint8, blue first."""
        drawn = mask_overlay(frame.image[..., ::-1].copy(), prediction.labels)
        return np.ascontiguousarray(drawn[..., ::-1])

    def close_file(self) -> None:
        """Move a finished video into place."""
        if self._video is None:
            return
        with output_errors(self._path):
            self._open_files.close()
            self.written.add(self._path)
        self._video = None

    def _check_length(self, temporary: Path) -> None:
        if sys.exc_info()[0] is not None:
            return
        video = cv2.VideoCapture(str(temporary))
        written = max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
        video.release()
        if written != self._frames:
            raise OutputError(
                f'{self._path}: only {written} of {self._frames} frames could be '
                'written; the disk may be full.'
            )

    def abandon(self) -> None:
        """Drop an unfinished video."""
        self._open_files.__exit__(*sys.exc_info())


class _JSONOutput(Output):
    """One JSON file for all images."""

    file_name: ClassVar[str]

    def __init__(self, out: Path, classes: Sequence[str]) -> None:
        super().__init__(out, classes)
        self.images: list[dict] = []

    def targets(self, file: InputFile) -> list[Path]:
        """The one file."""
        return [self.out / self.file_name]

    def _note_image(self, frame: Frame) -> dict:
        height, width = frame.image.shape[:2]
        image = dict(
            id=len(self.images) + 1,
            file_name=str(frame.file.path),
            width=width,
            height=height,
        )
        if frame.number is not None:
            image['frame'] = frame.number
        if frame.number is not None and frame.file.kind is Kind.VIDEO:
            times = frame_times(frame.file)
            if frame.number <= len(times):
                image['time'] = round(times[frame.number - 1], 3)
        self.images.append(image)
        return image

    @abstractmethod
    def document(self) -> dict:
        """What the file is to hold."""

    def finish(self) -> None:
        """Write the file."""
        path = self.out / self.file_name
        with output_errors(path):
            write_text(path, json.dumps(self.document()) + '\n')
            self.written.add(path)


class CocoOutput(_JSONOutput):
    """``coco_rle.json``: COCO's format, one annotation a connected region."""

    file_name = 'coco_rle.json'

    def __init__(self, out: Path, classes: Sequence[str]) -> None:
        super().__init__(out, classes)
        self.annotations: list[dict] = []

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Note the regions of one image."""
        image = self._note_image(frame)
        for label, region, score in regions(prediction):
            code = coco_mask.encode(np.asfortranarray(region.astype(np.uint8)))
            self.annotations.append(
                dict(
                    id=len(self.annotations) + 1,
                    image_id=image['id'],
                    category_id=label,
                    segmentation=dict(
                        size=list(code['size']), counts=code['counts'].decode('ascii')
                    ),
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


class ContourOutput(_JSONOutput):
    """``contours.json``: outlines of the regions, holes apart."""

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

    def document(self) -> dict:
        """Images with their regions."""
        return dict(images=self.images)


class FlagOutput(_JSONOutput):
    """``flags.json``: how each image compares with those of the training sites.

    CLIP's tower runs over every image once more.
    """

    file_name = 'flags.json'

    def use_model(self, model: nn.Module) -> None:
        """Take the statistics of the training sites.

        Raises:
            SiteReferenceError: The checkpoint carries none.
            DictionaryError: The model names no imaging conditions.
        """
        self._checker = ImageChecker(model)

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Note the flag of one image."""
        flag = self._checker.flag(frame.image)
        self._note_image(frame).update(flag.to_dict())

    def document(self) -> dict:
        """Images with their flags."""
        return dict(images=self.images)


class ConformalMaskOutput(_ImageOutput):
    """``conformal/NAME.png``: 255 where the network's probability is at a threshold.

    Args:
        out: Folder of all results.
        classes: Names of the classes, the background first.
        threshold: See :func:`mcdrl_common.conformal_file.read_conformal`.
    """

    folder = 'conformal'

    def __init__(self, out: Path, classes: Sequence[str], threshold: float) -> None:
        super().__init__(out, classes)
        self.threshold = threshold

    def picture(self, frame: Frame, prediction: Prediction) -> np.ndarray:
        """(H, W) uint8."""
        mask = conformal_mask(prediction, self.threshold)
        return np.where(mask, _LESION_VALUE, 0).astype(np.uint8)


class ConformalOutput(_JSONOutput):
    """``conformal.json``: the same masks as RLE, and what the threshold promises.

    Args:
        out: Folder of all results.
        classes: Names of the classes, the background first.
        conformal: From :func:`mcdrl_common.conformal_file.read_conformal`.
    """

    file_name = 'conformal.json'

    def __init__(self, out: Path, classes: Sequence[str], conformal: dict) -> None:
        super().__init__(out, classes)
        self.conformal = conformal

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Note the mask and the highest probability of one image."""
        mask = conformal_mask(prediction, self.conformal['threshold'])
        code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        self._note_image(frame).update(
            mask=dict(size=list(code['size']), counts=code['counts'].decode('ascii')),
            area=int(mask.sum()),
            highest_probability=round(float(prediction.lesion_probability.max()), 4),
            calibrated=prediction.network_probability is not None,
        )

    def document(self) -> dict:
        """The threshold, and images with their masks."""
        return dict(conformal=self.conformal, images=self.images)


def conformal_mask(prediction: Prediction, threshold: float) -> np.ndarray:
    """Pixels that a threshold of ``python -m mcdrl_lab conformal`` marks, (H, W) bool.

    Args:
        prediction: Of one image.
        threshold: For the probability before calibration.
    """
    own = prediction.network_probability
    return at_threshold(
        prediction.lesion_probability if own is None else own, threshold
    )


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
        prediction: Of one image.

    Yields:
        Label, (H, W) bool, and the mean lesion probability in the region.
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


def _write_png(path: Path, picture: np.ndarray) -> None:
    done, code = cv2.imencode('.png', picture)
    if not done:
        raise OutputError(f'{path}: could not be encoded as PNG.')
    write_bytes(path, code.tobytes())
