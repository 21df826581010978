"""Explanations as files: one page and one JSON document per image."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from torch import nn

from mcdrl_common.atomic_write import atomic_write, write_text
from mcdrl_common.mask_files import TruthMask, read_truth_mask
from mcdrl_common.printable import printable
from mcdrl_common.written_files import (
    OutputError,
    WrittenFiles,
    check_targets,
    output_errors,
)
from mcdrl_mmseg.visualization.explanation_figure import explanation_figure
from mcdrl_mmseg.visualization.explanation_sections import lesion_dice

from .explanation import Explanation, explain
from .image_pipeline import ImageError
from .inputs import IMAGE_ENDINGS, InputFile, Kind, find_inputs, read_images

_THRESHOLD = 0.5
_MASK_ENDINGS = IMAGE_ENDINGS | {'.gif'}
_DIGITS = 4
_DOTS_PER_INCH = 110


@dataclass
class ExplainSummary:
    """Outcome of a run.

    Attributes:
        written: The pages that were written.
        problems: Name of an input -> why it was skipped.
    """

    written: list[Path] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def explain_files(
    model: nn.Module,
    names: Sequence[str],
    out: str | Path,
    truth: str | Path | None = None,
    overwrite: bool = False,
    console: Console | None = None,
    true_confounders: Callable[[Path], Sequence[str] | None] | None = None,
) -> ExplainSummary:
    """Explain images and write a page and a document for each.

    For a video or a DICOM object with several images, the first image is explained.

    Args:
        model: See :func:`explain`.
        names: Images, folders and patterns, see :func:`find_inputs`.
        out: Folder of the results; made if it does not exist.
        truth: Mask of a single image, or a folder of masks with the images' names.
        overwrite: Replace results of an earlier run.
        console: Console for the progress; None shows none.
        true_confounders: Maps an image file to its known imaging conditions, which are
            then marked; returns None if they are not known.

    Returns:
        The outcome.

    Raises:
        OutputError: Another file or folder is in the way of a result, or the disk is
            full or read-only.
        ValueError: The model cannot be explained, a single mask is given for several
            images, or a folder of masks for images with the same name.
    """
    out = Path(out)
    inputs = find_inputs(names, leave_out=out)
    summary = ExplainSummary(problems=dict(inputs.problems))
    truth = None if truth is None else Path(truth)
    _check_truth(truth, inputs.files)
    check_targets(
        out,
        [target for file in inputs.files for target in _targets(out, file)],
        [file.path for file in inputs.files],
        overwrite,
    )
    files: Iterable[InputFile] = inputs.files
    if console is not None:
        files = track(files, 'explaining', console=console)
    for file in files:
        known = true_confounders(file.path) if true_confounders else None
        try:
            summary.written.append(_explain_file(model, file, out, truth, known))
        except Exception as error:
            if isinstance(error, OutputError) and not error.name_too_long:
                raise
            # Decoders and models may raise any exception.
            reason = str(error).strip() or type(error).__name__
            summary.problems[str(file.path)] = reason
    return summary


def _check_truth(truth: Path | None, files: Sequence[InputFile]) -> None:
    if truth is None:
        return
    if not truth.is_dir() and len(files) != 1:
        raise ValueError(
            f'{truth} is one mask, but there are {len(files)} images. Name a folder of '
            'masks with --truth.'
        )
    first: dict[str, Path] = {}
    for path in (file.path for file in files):
        other = first.setdefault(path.stem, path)
        if other is not path:
            raise ValueError(
                f'{other} and {path} have the same name, so a mask in {truth} could '
                'belong to either. Explain them one at a time.'
            )


def _explain_file(
    model: nn.Module,
    file: InputFile,
    out: Path,
    truth: Path | None,
    known: Sequence[str] | None,
) -> Path:
    """Write page and document of one image; return the page."""
    image = next(iter(read_images(file)))
    mask = None if truth is None else _read_truth(truth, file, image, model)
    explanation = explain(model, image)
    page, document = _targets(out, file)
    lesion, ignored = (None, None) if mask is None else (mask.lesion, mask.ignored)
    # Matplotlib reads text between dollar signs as a formula.
    title = printable(file.path.name).replace('$', r'\$')
    if file.kind is Kind.VIDEO:
        title += ', first frame'
    figure = explanation_figure(
        explanation, lesion, known, title=title, ignored=ignored
    )
    written = WrittenFiles(out)
    with output_errors(page):
        with atomic_write(page) as temporary:
            figure.savefig(temporary, dpi=_DOTS_PER_INCH)
        written.add(page)
    record = dict(
        image=printable(str(file.path)), **explanation_record(explanation, mask)
    )
    if known is not None:
        record['true_confounders'] = list(known)
    with output_errors(document):
        text = json.dumps(record, indent=1, ensure_ascii=False) + '\n'
        write_text(document, text)
        written.add(document)
    return page


def explanation_record(
    explanation: Explanation, truth: TruthMask | None = None
) -> dict:
    """An explanation as plain data, without its maps at native size.

    Args:
        explanation: The explanation.
        truth: The true lesion, and the pixels ignored by Dice.

    Returns:
        Plain data. Areas are shares of the image. Grids are lists of rows, with
        ``null`` for positions that were not kept; ``window`` is the image's position on
        them: top, bottom, left and right, as shares.
    """
    height, width = explanation.image.shape[:2]
    probabilities = explanation.lesion_probability
    change = probabilities['gate_1'] - probabilities['gate_0']
    return dict(
        width=width,
        height=height,
        gate=explanation.gate,
        approximation=explanation.approximation,
        predictions={
            key: _prediction(probability, truth)
            for key, probability in probabilities.items()
        },
        change=dict(
            mean=_rounded(change.mean()),
            mean_absolute=_rounded(np.abs(change).mean()),
            largest_gain=_rounded(change.max()),
            largest_loss=_rounded(change.min()),
        ),
        classes=[
            dict(name=name, similarity=_rounded(values))
            for name, values in zip(explanation.class_names, explanation.similarity)
        ],
        kept=explanation.kept.astype(int).tolist(),
        window=[_rounded(share) for share in explanation.window],
        confounders=[
            dict(
                name=name,
                weight=_rounded(explanation.attention[number]),
                weights=_rounded(explanation.attention_maps[number]),
                prediction_alone=_prediction(explanation.per_confounder[number], truth),
            )
            for number, name in enumerate(explanation.confounder_names)
        ],
    )


def _prediction(probability: np.ndarray, truth: TruthMask | None) -> dict:
    predicted = probability > _THRESHOLD
    values = dict(
        lesion_area=_rounded(predicted.mean()),
        largest_probability=_rounded(probability.max()),
    )
    if truth is not None and truth.lesion.any():
        dice = lesion_dice(probability, truth.lesion, truth.ignored)
        values['dice'] = _rounded(dice)
    return values


def _rounded(values: np.ndarray | float) -> float | list | None:
    if isinstance(values, np.ndarray) and values.ndim > 0:
        return [_rounded(value) for value in values]
    return round(float(values), _DIGITS) if np.isfinite(values) else None


def _targets(out: Path, file: InputFile) -> tuple[Path, Path]:
    return out / f'{file.name}.png', out / f'{file.name}.json'


def _read_truth(
    truth: Path, file: InputFile, image: np.ndarray, model: nn.Module
) -> TruthMask:
    path = truth
    if truth.is_dir():
        named = sorted(truth.glob(f'{glob.escape(file.path.stem)}.*'))
        # For a.png, neither a.left.png nor a.json.
        found = [
            mask
            for mask in named
            if mask.stem == file.path.stem and mask.suffix.lower() in _MASK_ENDINGS
        ]
        if not found:
            raise ImageError(f'{file.path}: {truth} holds no mask with this name.')
        if len(found) > 1:
            raise ImageError(
                f'{file.path}: {found[0]} and {found[1]} both have its name. Name one '
                'of them with --truth, or move one away.'
            )
        (path,) = found
    classes = (getattr(model, 'dataset_meta', None) or {}).get('classes', ())
    mask = read_truth_mask(path, max(2, len(classes)))
    if mask.lesion.shape != image.shape[:2]:
        height, width = mask.lesion.shape
        raise ImageError(
            f'{path}: the mask has {width} x {height} pixels, but its image '
            f'{file.path} has {image.shape[1]} x {image.shape[0]} (width x height).'
        )
    return mask
