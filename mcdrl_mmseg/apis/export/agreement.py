"""Compares an exported file with the model in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import torch
from torch import nn

from mcdrl_mmseg.apis.image_pipeline import prepare, read_image
from mcdrl_mmseg.clip.normalisation import preprocessor_values

from .deployable import DeployableSegmentor
from .runtime import ExportedModel


def fit_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image as the test pipelines do, to the input of an exported file.

    Args:
        image: (H, W, 3) uint8, blue first.
        size: Height and width.

    Returns:
        (1, 3, height, width) uint8, red first.
    """
    resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(resized[None, ..., ::-1].transpose(0, 3, 1, 2))


def prepares_otherwise(model: nn.Module, size: tuple[int, int]) -> bool:
    """Whether the model's pipeline prepares an image differently than for a file.

    The input of a file is an image resized to its size; the file normalises it. The
    model's pipeline may keep the aspect ratio, pad, or change contrast, and the data
    preprocessor may pad.

    Args:
        model: From :func:`~mcdrl_mmseg.apis.checkpoint.load_segmentor`.
        size: Height and width of the file.
    """
    # A size that no file has, and not square.
    image = cv2.resize(_noise(), (250, 180))
    try:
        own, _ = prepare(model, image)
    except ValueError:
        # No pipeline for single images.
        return False
    values = preprocessor_values(model.data_preprocessor)
    pixels = torch.from_numpy(fit_image(image, size))
    pixels = pixels.flip(1) if values['bgr'] else pixels
    mean, std = (torch.tensor(values[key]).view(-1, 1, 1) for key in ('mean', 'std'))
    given = (pixels.float() - mean) / std
    return own.shape != given.shape or not torch.allclose(own, given, atol=1e-3)


def _noise() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (7, 7, 3), np.uint8)
    return cv2.resize(coarse, (224, 224), interpolation=cv2.INTER_CUBIC)


def trial_sizes(size: tuple[int, int], multiple: int | None) -> list[tuple[int, int]]:
    """Sizes to compare at.

    Constants of the traced size that were baked into a file could still work for
    multiples of that size. Therefore the larger size is neither a multiple of ``size``
    nor of the traced size, which is ``multiple`` wider. The other size is smaller, if
    possible.

    Args:
        size: Height and width that the model is exported with.
        multiple: Other sizes are multiples of this; None for a fixed size.

    Returns:
        The size itself, and for a variable size two more.
    """
    if multiple is None:
        return [size]
    height, width = size
    wider = 3 if width != 3 * multiple else 4
    sizes = [size, (height + multiple, width + wider * multiple)]
    if min(size) > 2 * multiple:
        sizes.append((height - multiple, width - multiple))
    return sizes


def trial_images(
    paths: Sequence[str], sizes: Iterable[tuple[int, int]]
) -> list[np.ndarray]:
    """Images to compare on.

    Args:
        paths: Image files; without any, smooth noise is drawn.
        sizes: Heights and widths; every image is resized to each of them.

    Returns:
        Arrays of :func:`fit_image`.

    Raises:
        ImageError: A file cannot be read.
    """
    images = [read_image(path) for path in paths]
    if not images:
        images = [_noise()]
    return [fit_image(image, size) for size in sizes for image in images]


@torch.no_grad()
def largest_difference(
    module: DeployableSegmentor, exported: ExportedModel, images: Sequence[np.ndarray]
) -> float:
    """Largest absolute difference of any logit; NaN if any logit is NaN.

    Args:
        module: The model.
        exported: The file made of it.
        images: Arrays (B, 3, H, W) uint8.
    """
    gaps = [
        np.abs(exported.run(image) - module(torch.from_numpy(image)).numpy()).max()
        for image in images
    ]
    return float(np.max(gaps))
