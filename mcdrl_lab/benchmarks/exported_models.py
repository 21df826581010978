"""Time and Dice of exported files beside the model they were exported from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mcdrl_common.mask_files import read_truth_mask
from mcdrl_common.overlap_scores import Counts, overlap_scores
from mcdrl_mmseg.apis.export.agreement import fit_image
from mcdrl_mmseg.apis.export.deployable import DeployableSegmentor
from mcdrl_mmseg.apis.export.runtime import ExportedModel
from mcdrl_mmseg.apis.image_pipeline import ImageError, lesion_probability, read_image

from .latency import spread, time_in_turns

_WARM_UP = 5


def image_pairs(images: str | Path, masks: str | Path) -> list[tuple[Path, Path]]:
    """Pair images of a folder with masks of the same name.

    Args:
        images: Folder of images.
        masks: Folder of PNG masks, see
            :func:`~mcdrl_common.mask_files.read_truth_mask`.

    Raises:
        ImageError: No image has a mask, or two images share one.
    """
    masks = Path(masks)
    pairs = [
        (image, masks / f'{image.stem}.png')
        for image in sorted(Path(images).glob('*'))
        if (masks / f'{image.stem}.png').is_file()
    ]
    if not pairs:
        raise ImageError(
            f'no image in {images} has a mask of the same name in {masks}.'
        )
    first: dict[Path, Path] = {}
    for image, mask in pairs:
        if (other := first.setdefault(mask, image)) != image:
            raise ImageError(
                f'{other} and {image} have the same name: {mask} could belong to '
                'either. Move one of them away.'
            )
    return pairs


def compare_exported(
    model: nn.Module,
    files: Sequence[ExportedModel],
    pairs: Sequence[tuple[Path, Path]],
    rounds: int = 100,
) -> list[dict[str, Any]]:
    """Score and time a model and the files exported from it.

    Args:
        model: The segmentor.
        files: Exported files, all of the same size.
        pairs: Images and masks, see :func:`image_pairs`.
        rounds: Passes of one image for each, taking turns.

    Returns:
        For PyTorch and each file a dict of ``name``, ``megabytes`` (of the file),
        ``dice`` (of any lesion class at native size, mean over images with lesion, in
        percent), ``largest_difference`` of a probability from PyTorch's,
        ``milliseconds`` (median) and ``quartiles``.

    Raises:
        ImageError: An image cannot be read, or its mask has another size.
        ValueError: No files, or files of different sizes.
    """
    sizes = {(file.description['height'], file.description['width']) for file in files}
    if len(sizes) != 1:
        raise ValueError(f'the files must have the same size, got {sorted(sizes)}.')
    (size,) = sizes
    module = DeployableSegmentor(model)

    @torch.no_grad()
    def pytorch(images: np.ndarray) -> np.ndarray:
        return module(torch.from_numpy(images)).numpy()

    names = ['PyTorch', *(file.path.name for file in files)]
    runs = [pytorch, *(file.run for file in files)]
    dice, gaps = _scores(runs, pairs, size)
    pixels = fit_image(read_image(pairs[0][0]), size)
    passes = [partial(run, pixels) for run in runs]
    taken = [spread(own) for own in time_in_turns(passes, rounds, _WARM_UP).T]
    return [
        dict(
            name=name,
            megabytes=None if n == 0 else files[n - 1].path.stat().st_size / 1e6,
            dice=float(100 * np.nanmean(dice[:, n])),
            largest_difference=float(gaps[:, n].max()),
            milliseconds=taken[n].median,
            quartiles=[taken[n].low, taken[n].high],
        )
        for n, name in enumerate(names)
    ]


Run = Callable[[np.ndarray], np.ndarray]


def _scores(
    runs: Sequence[Run], pairs: Sequence[tuple[Path, Path]], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Dice and difference of every image and run, both (images, runs).

    Dice is NaN for images without lesion. The difference is the largest one of a
    probability from the first run.
    """
    dice, gaps = [], []
    for image_path, mask_path in pairs:
        image = read_image(image_path)
        pixels = fit_image(image, size)
        logits = [run(pixels) for run in runs]
        truth = read_truth_mask(mask_path, max(2, logits[0].shape[1]))
        if truth.lesion.shape != image.shape[:2]:
            raise ImageError(
                f'{mask_path}: the mask is {truth.lesion.shape}, the image '
                f'{image_path} {image.shape[:2]} (height, width); they must agree.'
            )
        scored = ~truth.ignored
        maps = [_maps(own, truth.lesion.shape) for own in logits]
        dice.append([_dice(mask[scored], truth.lesion[scored]) for _, mask in maps])
        gaps.append([np.abs(found - maps[0][0]).max() for found, _ in maps])
    return np.array(dice), np.array(gaps)


def _maps(logits: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Probability and mask of any lesion, (H, W) float and bool, of one image.

    With several lesion classes the mask is the argmax, as in predicted masks and test
    scores, and not the probability above one half: the lesion classes together may have
    more than one half where background is the most probable single class.
    """
    resized = F.interpolate(torch.from_numpy(logits), size=shape, mode='bilinear')[0]
    if len(resized) == 1:
        resized = resized.sigmoid()
        mask = resized[0] > 0.5
    else:
        mask = resized.argmax(dim=0) > 0
    return lesion_probability(resized).numpy(), mask.numpy()


def _dice(found: np.ndarray, truth: np.ndarray) -> float:
    counts = Counts(
        tp=(found & truth).sum(),
        fp=(found & ~truth).sum(),
        fn=(~found & truth).sum(),
        tn=(~found & ~truth).sum(),
    )
    return float(overlap_scores(counts)['dice'])
