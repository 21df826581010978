"""Loads exported files as functions of images."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .deployable import ExportError
from .formats import ENDINGS, require
from .metadata import EXTRA_FILE, from_strings


@dataclass
class ExportedModel:
    """A loaded file, ready to run on the CPU.

    Attributes:
        path: The file.
        description: Its metadata, see :func:`describe`.
        run: (B, 3, H, W) uint8, red first -> logits (B, C, H, W) float32.
    """

    path: Path
    description: dict[str, Any]
    run: Callable[[np.ndarray], np.ndarray]


def open_exported(path: str | os.PathLike, threads: int = 0) -> ExportedModel:
    """Load a file that tools/export.py wrote.

    TorchScript and torch.export files are programs: open no untrusted one.

    Args:
        path: The file; its suffix names the format.
        threads: Threads of onnxruntime; 0 leaves the number to it. The other formats
            use torch's threads.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Unknown suffix.
        ExportError: onnxruntime is missing, the file cannot be loaded, or it is not
            from tools/export.py and has no size in its metadata. ``run`` raises it for
            images that an ONNX file does not accept.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'exported model {str(path)!r} is not a file.')
    if path.suffix not in ENDINGS.values():
        raise ValueError(f'{path} must end in one of {", ".join(ENDINGS.values())}.')
    if path.suffix == ENDINGS['onnx']:
        return _with_size(_open_onnx(path, threads))
    extra = {EXTRA_FILE: ''}
    try:
        if path.suffix == ENDINGS['torchscript']:
            module = torch.jit.load(path, map_location='cpu', _extra_files=extra)
        else:
            module = torch.export.load(path, extra_files=extra).module()
    except Exception as error:
        # A checkpoint with this suffix, or a truncated file: torch may raise anything.
        first_line = str(error).strip().partition('\n')[0]
        raise ExportError(f'{path}: torch cannot load it: {first_line}') from error

    @torch.no_grad()
    def run(images: np.ndarray) -> np.ndarray:
        return module(torch.from_numpy(images)).numpy()

    return _with_size(ExportedModel(path, json.loads(extra[EXTRA_FILE] or '{}'), run))


def _with_size(model: ExportedModel) -> ExportedModel:
    """Refuse a file of another program, whose input is not known."""
    sides = [model.description.get(side) for side in ('height', 'width')]
    if not all(type(side) is int for side in sides):
        raise ExportError(
            f'{model.path} has no height and width in its metadata: it was not written '
            'by tools/export.py. Export the checkpoint with tools/export.py.'
        )
    return model


@contextmanager
def _own_errors(what: str) -> Iterator[None]:
    """Context that turns errors of onnxruntime, which have no base class, into ours."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith('onnxruntime'):
            raise
        first_line = str(error).strip().partition('\n')[0]
        raise ExportError(f'{what}: {first_line}') from error


def _open_onnx(path: Path, threads: int) -> ExportedModel:
    require('onnxruntime')
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with _own_errors(f'{path}: onnxruntime cannot load it'):
        session = onnxruntime.InferenceSession(
            path, options, providers=['CPUExecutionProvider']
        )

    def run(images: np.ndarray) -> np.ndarray:
        shape = ' x '.join(map(str, images.shape))
        with _own_errors(f'onnxruntime cannot run the model on {shape} {images.dtype}'):
            return session.run(['logits'], {'images': images})[0]

    texts = session.get_modelmeta().custom_metadata_map
    return ExportedModel(path, from_strings(texts), run)
