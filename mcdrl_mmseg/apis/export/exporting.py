"""Exports a model to a file, and compares the file with the model."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from mcdrl_common.atomic_write import atomic_write
from mcdrl_common.written_files import WrittenFiles, check_targets, output_errors

from .agreement import largest_difference, trial_images, trial_sizes
from .deployable import DeployableSegmentor, ExportError
from .formats import ENDINGS, FORMATS, size_multiple
from .metadata import describe
from .quantization import quantize
from .runtime import open_exported

TOLERANCE = 1e-4


@dataclass
class Exported:
    """An exported file.

    Attributes:
        path: The file.
        difference: Largest difference of a logit from PyTorch's.
        num_images: Number of compared images, counted once for each size.
    """

    path: Path
    difference: float
    num_images: int


def export_model(
    model: nn.Module,
    path: str | Path,
    file_format: str,
    size: tuple[int, int],
    dynamic: bool = False,
    int8: bool = False,
    images: Sequence[str] = (),
    overwrite: bool = False,
) -> Exported:
    """Export a model, and compare the file with it.

    Args:
        model: From :func:`~mcdrl_mmseg.apis.checkpoint.load_segmentor`.
        path: The file to write.
        file_format: Key of :data:`FORMATS`.
        size: Height and width in pixels.
        dynamic: Whether the file accepts other sizes too.
        int8: Quantise the weights of matrix products; ONNX only. The difference is
            then only reported.
        images: Image files to compare on; by default an image of noise.
        overwrite: Replace an existing file.

    Returns:
        The file and its difference.

    Raises:
        ExportError: The model cannot be exported like this, a package is missing, or
            the file differs by more than :data:`TOLERANCE`; no file is left then.
        ImageError: An image cannot be read.
        OutputError: The file exists, or the disk is full or read-only.
    """
    path = Path(path)
    multiple = size_multiple(model) if dynamic else None
    _check(path, file_format, size, multiple, int8)
    check_targets(path.parent, [path], [Path(image) for image in images], overwrite)
    height, width = size
    trials = trial_images(images, trial_sizes(size, multiple))
    module = DeployableSegmentor(model)
    description = describe(module, (height, width), multiple)
    description['int8'] = int8
    with output_errors(path), atomic_write(path) as temporary:
        if int8:
            with tempfile.TemporaryDirectory() as folder:
                plain = Path(folder) / 'plain.onnx'
                FORMATS[file_format](module, size, multiple, description, plain)
                quantize(plain, temporary)
        else:
            FORMATS[file_format](module, size, multiple, description, temporary)
        gap = largest_difference(module, open_exported(temporary), trials)
        # What divides logits divides their rounding too.
        allowed = TOLERANCE / min(1, *(module.temperature or (1,)))
        if not int8 and not gap <= allowed:  # NaN fails too
            raise ExportError(
                f'the outputs of the exported file differ from those of PyTorch by '
                f'{gap:.1e}; the limit is {allowed:.0e}. The file was not kept. If two '
                'positions of an image are almost equally similar to a lesion, the '
                'file and PyTorch may select different ones: try other images '
                '(--image).'
            )
    with output_errors(path):
        WrittenFiles(path.parent).add(path)
    return Exported(path, gap, len(trials))


def _check(
    path: Path,
    file_format: str,
    size: tuple[int, int],
    multiple: int | None,
    int8: bool,
) -> None:
    if path.suffix != ENDINGS[file_format]:
        raise ExportError(
            f'{path}: the name of a file in format {file_format} must end in '
            f'{ENDINGS[file_format]}.'
        )
    if int8 and file_format != 'onnx':
        raise ExportError(f'--int8 works with --format onnx, not {file_format}.')
    if min(size) < 1 or (multiple and any(side % multiple for side in size)):
        raise ExportError(
            f'size {size[0]} x {size[1]}: both must be positive'
            + (f' multiples of {multiple} (--dynamic).' if multiple else '.')
        )
