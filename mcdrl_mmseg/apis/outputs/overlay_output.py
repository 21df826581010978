"""Images and videos with the outlines of predictions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from mcdrl_common.atomic_write import atomic_write
from mcdrl_common.written_files import OutputError, output_errors
from mcdrl_mmseg.visualization.overlay import mask_overlay

from ..inferencer import Prediction
from ..inputs import InputFile, Kind, frame_rate
from .output_base import Frame, ImageOutput
from .video_times import ShownFrames, at_constant_rate, frame_times

_VIDEO_CODEC = 'mp4v'


class OverlayOutput(ImageOutput):
    """``overlays/NAME.png``; for a video ``overlays/NAME.mp4`` with all frames."""

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
        # Runs after the video is released: OpenCV does not report a full disk.
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
        # Runs before the file is moved: a video is only complete once released.
        self._open_files.callback(video.release)
        self._video = video
        if not video.isOpened():
            raise OutputError(
                f'{path}: this installation of OpenCV cannot write MPEG-4 video of '
                f'{width} x {height} pixels. Leave out overlays (--save masks).'
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
