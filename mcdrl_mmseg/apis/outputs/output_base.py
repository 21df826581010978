"""Base classes of the writers of predictions."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mcdrl_common.atomic_write import write_bytes, write_text
from mcdrl_common.written_files import OutputError, WrittenFiles, output_errors

from ..inferencer import Prediction
from ..inputs import InputFile, Kind
from .video_times import frame_times

LESION_VALUE = 255
"""Value of lesion pixels in a mask with a single class."""


@dataclass(frozen=True)
class Frame:
    """One image of an input.

    Attributes:
        file: The input.
        number: Number of the image within the input, from 1; None for a single image.
        image: (H, W, 3) uint8, blue first.
    """

    file: InputFile
    number: int | None
    image: np.ndarray

    @property
    def name(self) -> str:
        """Name of its result files: ``NAME``, or ``FILE.mp4/000001``."""
        if self.number is None:
            return self.file.name
        return f'{sequence_name(self.file)}/{self.number:06d}'


def sequence_name(file: InputFile) -> str:
    """Name of the folder for images of a video or a multi-frame DICOM object."""
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

    @abstractmethod
    def targets(self, file: InputFile) -> list[Path]:
        """Files or folders that may be written for an input.

        Args:
            file: The input.
        """

    @abstractmethod
    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Write or collect one prediction.

        Args:
            frame: The image.
            prediction: Its prediction.
        """

    def close_file(self) -> None:  # noqa: B027
        """Called after the last image of an input."""

    def abandon(self) -> None:  # noqa: B027
        """Called if an error ends the run."""

    def finish(self) -> None:  # noqa: B027
        """Called after the last prediction."""


class ImageOutput(Output):
    """One PNG file per image."""

    folder: ClassVar[str]

    def targets(self, file: InputFile) -> list[Path]:
        """The PNG file, or the folder of a sequence's PNG files."""
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
        """The array that OpenCV writes."""


class JSONOutput(Output):
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

    def document(self) -> dict:
        """Content of the file: by default only the images."""
        return dict(images=self.images)

    def finish(self) -> None:
        """Write the file."""
        path = self.out / self.file_name
        with output_errors(path):
            write_text(path, json.dumps(self.document()) + '\n')
            self.written.add(path)


class ThresholdOutput(JSONOutput):
    """One JSON file for all images, with the threshold of their masks.

    Args:
        out: Folder of all results.
        classes: Names of the classes, the background first.
        content: Content of the threshold file, see :mod:`mcdrl_common.threshold_file`.
    """

    heading: ClassVar[str]

    def __init__(self, out: Path, classes: Sequence[str], content: dict) -> None:
        super().__init__(out, classes)
        self.content = content
        self.threshold = content['threshold']

    def document(self) -> dict:
        """The threshold, and the images."""
        return {self.heading: self.content, 'images': self.images}


def run_lengths(mask: np.ndarray) -> dict:
    """A mask as COCO's run-length encoding, which JSON can hold.

    Args:
        mask: (H, W) bool.
    """
    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(size=list(code['size']), counts=code['counts'].decode('ascii'))


def _write_png(path: Path, picture: np.ndarray) -> None:
    done, code = cv2.imencode('.png', picture)
    if not done:
        raise OutputError(f'{path}: could not be encoded as PNG.')
    write_bytes(path, code.tobytes())
