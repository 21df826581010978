"""Commands of tools/predict.py, tools/explain.py and tools/export.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from torch import nn

from mcdrl_common import InputError
from mcdrl_common.image_files import set_pixel_limit
from mcdrl_common.printable import printable, short_repr
from mcdrl_common.threshold_file import CONFORMAL, PRESENCE

from .checkpoint import load_segmentor
from .closed_gate import closed_gate_note
from .explanation_files import explain_files
from .image_pipeline import pipeline_size
from .inferencer import MCDRLInferencer
from .prediction import predict_files

USER_ERRORS = (FileNotFoundError, InputError, ValueError)


def run_tool(
    name: str, command: Callable[[argparse.Namespace], int], args: argparse.Namespace
) -> int:
    """Run a command; an error that the user can fix becomes one line and exit code 2.

    Args:
        name: Name of the tool, printed before the message.
        command: One of the commands below.
        args: Its arguments, and ``max_pixels``.

    Returns:
        The exit code.
    """
    if args.max_pixels is not None:
        set_pixel_limit(args.max_pixels)
    try:
        return command(args)
    except USER_ERRORS as error:
        print(f'{name}: {error}', file=sys.stderr)
        return 2


def predict(args: argparse.Namespace) -> int:
    """Run tools/predict.py.

    Args:
        args: Its arguments.

    Returns:
        The exit code: 1 if inputs were skipped.
    """
    # Before the model is built, so that a wrong file is reported at once.
    conformal = CONFORMAL.read(args.conformal) if args.conformal else None
    presence = PRESENCE.read(args.presence) if args.presence else None
    inferencer = MCDRLInferencer(
        args.config, args.checkpoint, device=args.device, show_progress=False
    )
    warn_of_closed_gate(inferencer.model)
    own = getattr(inferencer.model, 'model_hash', '')
    for kind, content, path in (
        (CONFORMAL, conformal, args.conformal),
        (PRESENCE, presence, args.presence),
    ):
        if content and (note := kind.check_model(content, own, path)):
            print(f'note: {note}', file=sys.stderr)
    summary = predict_files(
        inferencer,
        args.input,
        args.out,
        args.save,
        args.batch_size,
        args.overwrite,
        Console(),
        conformal,
        presence,
    )
    for video, (count, seconds) in summary.seconds.items():
        print(
            f'{video}: {count} frames in {seconds:.1f} s, '
            f'{count / max(seconds, 1e-9):.1f} frames/s'
        )
    written = [*args.save, 'conformal'] if conformal else args.save
    print(
        f'{summary.num_images} images segmented, a lesion found in '
        f'{summary.num_lesions}; {", ".join(written)} in {args.out}'
    )
    if presence:
        # A checkpoint does not know its name in the records: only the user can notice
        # that the threshold is from another training.
        method = presence.get('method')
        of = f' (threshold of {short_repr(method)} in its records)' if method else ''
        print(
            f'{summary.num_emptied} of these have an empty mask in {args.out}/'
            f'presence: the network expects a Dice below {presence["threshold"]:g}{of}'
        )
    if summary.ignored:
        print(
            f'{len(summary.ignored)} files of other kinds were ignored, for example '
            f'{summary.ignored[0]}'
        )
    return _print_skipped(summary.problems, summary.num_images)


def explain(
    args: argparse.Namespace,
    true_confounders: Callable[[Path], Sequence[str] | None] | None = None,
) -> int:
    """Run tools/explain.py.

    Args:
        args: Its arguments.
        true_confounders: Known imaging conditions, see :func:`explain_files`.

    Returns:
        The exit code: 1 if inputs were skipped.
    """
    model = load_segmentor(args.checkpoint, args.config, args.device)
    warn_of_closed_gate(model)
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
    return _print_skipped(summary.problems, len(summary.written))


def export(args: argparse.Namespace) -> int:
    """Run tools/export.py.

    Args:
        args: Its arguments.

    Returns:
        The exit code.

    Raises:
        ExportError: See :func:`~mcdrl_mmseg.apis.export.exporting.export_model`.
    """
    from .export.agreement import prepares_otherwise
    from .export.exporting import export_model

    model = load_segmentor(args.checkpoint, args.config, 'cpu')
    warn_of_closed_gate(model)
    own = pipeline_size(model.cfg)
    size = _export_size(own, args.size)
    if own in (None, size) and prepares_otherwise(model, size):
        print(
            'warning: the test pipeline or the data preprocessor does more than resize '
            f'an image to {size[0]} x {size[1]} pixels: for example, it pads it, keeps '
            'its aspect ratio or changes its contrast. An exported file does not do '
            'this. Its masks will differ from those of tools/predict.py unless you '
            'prepare its images in the same way.',
            file=sys.stderr,
        )
    exported = export_model(
        model,
        args.out,
        args.format,
        size,
        dynamic=args.dynamic,
        int8=args.int8,
        images=args.image,
        overwrite=args.overwrite,
    )
    print(
        f'{exported.path}: {size[0]} x {size[1]} pixels, '
        f'{exported.path.stat().st_size / 1e6:.1f} MB; largest '
        f'difference from PyTorch {exported.difference:.1e} '
        f'({exported.num_images} images)'
    )
    return 0


def _export_size(
    own: tuple[int, int] | None, asked: Sequence[int] | None
) -> tuple[int, int]:
    """Height and width of the file: the requested size, else the model's own."""
    if asked is None:
        if own is None:
            raise ValueError(
                "the config's test pipeline does not resize all images to one size: "
                'set the input size of the file with --size HEIGHT WIDTH.'
            )
        return own
    height, width = asked
    if own is not None and (height, width) != own:
        print(
            f'warning: --size {height} {width}, but the model predicts at {own[0]} x '
            f'{own[1]} (its test pipeline). The masks of this file will differ from '
            'those of tools/predict.py, often by much. Leave out --size to use '
            f'{own[0]} x {own[1]}.',
            file=sys.stderr,
        )
    return height, width


def warn_of_closed_gate(model: nn.Module) -> None:
    """Warn on stderr if a model's intervention has not started.

    Args:
        model: Any segmentor with its weights loaded.
    """
    note = closed_gate_note(model)
    if note:
        print(note, file=sys.stderr)


def _print_skipped(problems: Mapping[str, str], done: int) -> int:
    if not problems:
        return 0
    print(f'{len(problems)} inputs were skipped:', file=sys.stderr)
    for name, why in problems.items():
        # Most error messages already name the file.
        line = f'  {why}' if name in why else f'  {name}: {why}'
        print(printable(line), file=sys.stderr)
    return 1 if done else 2
