"""Segments inputs and writes files with the predictions."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from mcdrl_common.written_files import OutputError, check_targets

from .image_flags import site_reference_of
from .inferencer import MCDRLInferencer, Prediction
from .inputs import InputFile, Inputs, Kind, count_images, find_inputs, read_images
from .outputs.conformal_output import ConformalMaskOutput, ConformalOutput
from .outputs.output_base import Frame, Output
from .outputs.plain_outputs import OUTPUTS
from .outputs.presence_output import PresenceMaskOutput, PresenceOutput


@dataclass
class Summary:
    """Outcome of a run.

    Attributes:
        num_images: Number of segmented images, frames of videos included.
        num_lesions: Number of images with a predicted lesion.
        num_emptied: Number of these whose mask in ``presence/`` is empty; 0 if not
            requested.
        problems: Name of an input -> why it, or the rest of it, was skipped.
        ignored: Files of other kinds in the given folders.
        seconds: Name of each video -> (frames, seconds).
    """

    num_images: int = 0
    num_lesions: int = 0
    num_emptied: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    ignored: list[Path] = field(default_factory=list)
    seconds: dict[str, tuple[int, float]] = field(default_factory=dict)


def predict_files(
    inferencer: MCDRLInferencer,
    names: Sequence[str],
    out: str | Path,
    save: Sequence[str] = ('masks', 'overlays'),
    batch_size: int = 1,
    overwrite: bool = False,
    console: Console | None = None,
    conformal: dict | None = None,
    presence: dict | None = None,
) -> Summary:
    """Segment files and write the requested results.

    Inputs that cannot be read are skipped and named in the summary. Frames are read and
    written one by one: a long video needs no more memory than a short one.

    Args:
        inferencer: The model.
        names: Files, folders and patterns, see :func:`find_inputs`.
        out: Folder of the results; made if it does not exist.
        save: Keys of :data:`~mcdrl_mmseg.apis.outputs.plain_outputs.OUTPUTS`.
        batch_size: Images that go through the network together, at most.
        overwrite: Replace results of an earlier run.
        console: Console for the progress; None shows none.
        conformal: A threshold with a guarantee, from
            :data:`mcdrl_common.threshold_file.CONFORMAL`; its masks are written too.
        presence: A confidence threshold below which masks are empty, from
            :data:`mcdrl_common.threshold_file.PRESENCE`; its masks are written too.

    Returns:
        The outcome.

    Raises:
        OutputError: Another file or folder is in the way of a result, or the disk is
            full or read-only.
        ValueError: An unknown kind of result, a batch size below 1, or flags with a
            checkpoint without statistics of its training sites.
    """
    unknown = [kind for kind in save if kind not in OUTPUTS]
    if unknown or not save:
        raise ValueError(f'save={list(save)} must name one or more of {list(OUTPUTS)}.')
    if batch_size < 1:
        raise ValueError(f'batch_size={batch_size} must be at least 1.')
    out = Path(out)
    inputs = find_inputs(names, leave_out=out)
    classes = inferencer.model.dataset_meta['classes']
    outputs = [OUTPUTS[kind](out, classes) for kind in dict.fromkeys(save)]
    outputs += _thresholded_outputs(out, classes, conformal, presence)
    flags = 'flags' in save
    if flags:
        site_reference_of(inferencer.model)
    files = inputs.files
    targets = [t for output in outputs for file in files for t in output.targets(file)]
    check_targets(out, targets, [file.path for file in files], overwrite)
    run = _Run(inputs, outputs, partial(inferencer.predict, flags=flags))
    with _progress(console) as progress:
        task = progress.add_task('segmenting', total=run.count())
        run.go(batch_size, lambda: progress.advance(task))
        progress.update(task, total=run.summary.num_images)
    for output in outputs:
        if isinstance(output, PresenceOutput):
            run.summary.num_emptied = sum(image['emptied'] for image in output.images)
    return run.summary


def _thresholded_outputs(
    out: Path, classes: Sequence[str], conformal: dict | None, presence: dict | None
) -> Iterator[Output]:
    if conformal is not None:
        yield ConformalMaskOutput(out, classes, conformal['threshold'])
        yield ConformalOutput(out, classes, conformal)
    if presence is not None:
        yield PresenceMaskOutput(out, classes, presence['threshold'])
        yield PresenceOutput(out, classes, presence)


def _progress(console: Console | None) -> Progress:
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('images'),
        TimeRemainingColumn(),
        console=console,
        disable=console is None,
    )


class _Run:
    """One pass over all inputs."""

    def __init__(
        self,
        inputs: Inputs,
        outputs: Sequence[Output],
        predict: Callable[..., Iterator[Prediction]],
    ) -> None:
        self.files = inputs.files
        self.outputs = outputs
        self.predict = predict
        self.summary = Summary(problems=dict(inputs.problems), ignored=inputs.ignored)
        # Frames read but not yet predicted: at most a batch.
        self._waiting: deque[Frame] = deque()
        self._current: InputFile | None = None
        self._count, self._start = 0, time.monotonic()

    def count(self) -> int:
        """Approximate number of images; files that cannot be read count as one."""
        total = 0
        for file in self.files:
            try:
                total += count_images(file)
            except Exception:
                # Reported later, when the file is read.
                total += 1
        return total

    def go(self, batch_size: int, advance: Callable[[], None]) -> None:
        """Read, predict and write."""
        try:
            for prediction in self._predictions(self._images(), batch_size):
                self._write(self._waiting.popleft(), prediction)
                advance()
            self._begin(None)
        except BaseException:
            for output in self.outputs:
                output.abandon()
            raise
        for output in self.outputs:
            output.finish()

    def _predictions(
        self, images: Iterator[np.ndarray], batch_size: int
    ) -> Iterator[Prediction]:
        """Predictions for the waiting images, in their order."""
        while True:
            try:
                for prediction in self.predict(images, batch_size):
                    yield prediction
                return
            except OutputError:
                raise
            except Exception:
                if not self._waiting:
                    raise
                # One image fails the whole batch: predict them one by one.
                while self._waiting:
                    frame = self._waiting[0]
                    try:
                        (prediction,) = self.predict([frame.image], 1)
                    except Exception as error:
                        self._waiting.popleft()
                        self._skip(frame.file, error)
                    else:
                        yield prediction

    def _write(self, frame: Frame, prediction: Prediction) -> None:
        self._begin(frame.file)
        try:
            for output in self.outputs:
                output.add(frame, prediction)
        except OutputError as error:
            if not error.name_too_long:
                raise
            self._skip(frame.file, error)
            return
        self._count += 1
        self.summary.num_images += 1
        self.summary.num_lesions += bool(prediction.labels.any())

    def _skip(self, file: InputFile, error: Exception) -> None:
        reason = str(error).strip() or type(error).__name__
        self.summary.problems[str(file.path)] = reason

    def _begin(self, file: InputFile | None) -> None:
        """Close the current file if another one, or none, follows."""
        if file is self._current:
            return
        for output in self.outputs:
            output.close_file()
        if self._current is not None and self._current.kind is Kind.VIDEO:
            spent = time.monotonic() - self._start
            self.summary.seconds[str(self._current.path)] = (self._count, spent)
        self._current, self._count, self._start = file, 0, time.monotonic()

    def _images(self) -> Iterator[np.ndarray]:
        for file in self.files:
            try:
                sequence = file.kind is Kind.VIDEO or count_images(file) > 1
                for number, image in enumerate(read_images(file), start=1):
                    self._waiting.append(
                        Frame(file, number if sequence else None, image)
                    )
                    yield image
            except Exception as error:
                # Decoders may raise any exception.
                self._skip(file, error)
