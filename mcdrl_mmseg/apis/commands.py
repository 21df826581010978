"""What tools/predict.py and tools/explain.py run, and say."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from mcdrl_mmseg.models import DictionaryError

from .checkpoint import CheckpointError, load_segmentor
from .checkpoint_config import CheckpointConfigError
from .explanation_files import explain_files, printable
from .image_pipeline import ImageError
from .inferencer import MCDRLInferencer
from .prediction import predict_files
from .written_files import OutputError

USER_ERRORS = (
    CheckpointConfigError,
    CheckpointError,
    DictionaryError,
    FileNotFoundError,
    ImageError,
    OutputError,
    ValueError,
)


def predict(args: argparse.Namespace) -> int:
    """Run tools/predict.py.

    Args:
        args: Its arguments.

    Returns:
        The exit code: 1 if inputs were skipped.
    """
    inferencer = MCDRLInferencer(
        args.config, args.checkpoint, device=args.device, show_progress=False
    )
    summary = predict_files(
        inferencer,
        args.input,
        args.out,
        args.save,
        args.batch_size,
        args.overwrite,
        Console(),
    )
    for video, (count, seconds) in summary.seconds.items():
        print(
            f'{video}: {count} frames in {seconds:.1f} s, '
            f'{count / max(seconds, 1e-9):.1f} frames/s'
        )
    print(
        f'{summary.num_images} images segmented, a lesion found in '
        f'{summary.num_lesions}; {", ".join(args.save)} in {args.out}'
    )
    if summary.ignored:
        print(
            f'{len(summary.ignored)} other files were left out, the first is '
            f'{summary.ignored[0]}'
        )
    return _tell_skipped(summary.problems, summary.num_images)


def explain(
    args: argparse.Namespace,
    true_confounders: Callable[[Path], Sequence[str] | None] | None = None,
) -> int:
    """Run tools/explain.py.

    Args:
        args: Its arguments.
        true_confounders: What is known of the images, see :func:`explain_files`.

    Returns:
        The exit code: 1 if inputs were skipped.
    """
    model = load_segmentor(args.checkpoint, args.config, args.device)
    summary = explain_files(
        model,
        args.image,
        args.out,
        args.truth,
        args.overwrite,
        Console(),
        true_confounders,
    )
    for page in summary.written:
        print(printable(str(page)))
    return _tell_skipped(summary.problems, len(summary.written))


def _tell_skipped(problems: Mapping[str, str], done: int) -> int:
    if not problems:
        return 0
    print(f'{len(problems)} inputs were skipped:', file=sys.stderr)
    for name, why in problems.items():
        # Most errors name the file themselves.
        line = f'  {why}' if name in why else f'  {name}: {why}'
        print(printable(line), file=sys.stderr)
    return 1 if done else 2
