"""Turns one image into a model's input, and its logits into a probability."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mcdrl_common import InputError
from mcdrl_common.config_datasets import inference_pipeline, type_name
from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import (
    NotAnImage,
    check_file_size,
    check_pixel_count,
    check_read_as_meant,
    opened,
    tiff_size,
)
from mcdrl_mmseg.datasets.transforms.load_lesion_mask import MASK_LOADERS

from .sealing.sealed_building import named_failures, seals_if_strange

# mmseg's own inference functions put the last two into a config.
_IMAGE_LOADERS = ('LoadImageFromFile', 'LoadImageFromNDArray', 'InferencerLoader')
# Transforms for the ground truth, which single images do not have.
_TRUTH_TRANSFORMS = (*MASK_LOADERS, 'SetSite')

_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_LOCKS_LOCK = threading.Lock()


class ImageError(InputError, ValueError):
    """An image that cannot be read; the message names the file."""


class ScoresError(InputError, ValueError):
    """Scores of a model that are NaN or infinite."""


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read an image file.

    Args:
        path: A single-page file that OpenCV can decode. Of 16 bits the upper 8 are
            used, if the values fill all 16 bits.

    Returns:
        (H, W, 3) uint8, blue first, with the file's EXIF orientation applied.

    Raises:
        ImageError: No such file, not an image, damaged, or refused as in data sets: see
            :func:`mcdrl_common.image_files.opened`.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ImageError(f'{path}: {error.strerror}.') from None
    if not stat.S_ISREG(mode):
        what = os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else 'not a regular file'
        raise ImageError(f'{path}: {what}.')
    # Check the header before the image is loaded into memory.
    try:
        with opened(path, 'image'):
            pass
    except NotAnImage:
        # OpenCV decodes some formats that Pillow does not, as 16-bit colour TIFF.
        _check_unknown_size(path)
        if cv2.imcount(str(path)) > 1:
            raise ImageError(f'{path}: has several pages; expected one.') from None
    except FileProblem as problem:
        raise ImageError(f'{path}: {problem.detail}.') from None
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ImageError(f'{path}: {error.strerror}.') from None
    image = None
    if content.size:
        try:
            image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        except cv2.error as error:
            raise ImageError(f'{path}: {error.err}.') from None
    if image is None:
        raise ImageError(
            f'{path}: not an image that OpenCV can decode; the file may be damaged.'
        )
    return _as_eight_bits(image, path)


def _check_unknown_size(path: Path) -> None:
    """Refuse files that Pillow does not know, except TIFF files of acceptable size."""
    try:
        size = tiff_size(path)
        if size is None:
            raise ImageError(
                f'{path}: not an image, or in a format that is not supported.'
            )
        check_pixel_count(*size)
        check_file_size(path, *size)
        check_read_as_meant(path)
    except FileProblem as problem:
        raise ImageError(f'{path}: {problem.detail}.') from None


def _as_eight_bits(image: np.ndarray, path: Path) -> np.ndarray:
    """The upper 8 bits; refused if the top bit is unused: the range is then unknown."""
    if image.dtype == np.uint8:
        return image
    if image.dtype != np.uint16:
        raise ImageError(
            f'{path}: has {image.dtype} values; expected 8 bits. Save it with 8 bits.'
        )
    top = int(image.max())
    if 0 < top < 2**15:
        raise ImageError(
            f'{path}: has 16 bits, but its highest value, {top}, uses only '
            f'{top.bit_length()}: its brightness range is unknown. Save it with 8 '
            'bits.'
        )
    return (image >> 8).astype(np.uint8)


def as_image(image: str | os.PathLike | np.ndarray) -> np.ndarray:
    """Read a path; check an array.

    Args:
        image: A path, or (H, W, 3) uint8, blue first.

    Returns:
        (H, W, 3) uint8, blue first.

    Raises:
        ImageError: See :func:`read_image`, or an array of another shape or type.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f'an image must be a path or an array, (H, W, 3) uint8, blue first; got '
            f'{type(image).__name__}. Convert a Pillow image in mode '
            "'RGB' with np.asarray(image)[..., ::-1]."
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(
            f'an image array must be (H, W, 3) uint8, blue first; got '
            f'{image.shape} {image.dtype}.'
        )
    return image


def build_image_pipeline(cfg: Mapping) -> Callable[[dict], dict]:
    """The test pipeline of a config for images that have no ground truth.

    Args:
        cfg: The config that a model was built from; not changed.

    Returns:
        A pipeline that takes ``dict(img=...)``, (H, W, 3) uint8, blue first.

    Raises:
        ValueError: The config has no test pipeline that loads an image file.
    """
    transforms = inference_pipeline(cfg)
    kept = [dict(t) for t in transforms if type_name(t) not in _TRUTH_TRANSFORMS]
    loaders = [t for t in kept if type_name(t) in _IMAGE_LOADERS]
    if not loaders:
        raise ValueError(
            "the config's test_pipeline (or test_dataloader.dataset.pipeline) does "
            f'not load images with {_IMAGE_LOADERS[0]}, so it cannot be used on single '
            'images. Add it as the first step.'
        )
    for loader in loaders:
        loader['type'] = 'LoadImageFromNDArray'
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    seal = seals_if_strange(cfg)
    with named_failures(cfg, 'test_pipeline'), seal():
        pipeline = Compose(kept)

    def run(data: dict) -> dict:
        with seal():
            return pipeline(data)

    return run


def pipeline_size(cfg: Mapping) -> tuple[int, int] | None:
    """Height and width to which a test pipeline resizes every image.

    Args:
        cfg: The config that a model was built from.

    Returns:
        Pixels; None if images keep their size or aspect ratio, so that sizes differ.
    """
    for transform in inference_pipeline(cfg):
        scale = transform.get('scale')
        if type_name(transform) == 'Resize' and scale:
            # MMCV's scale is (width, height), or one number for both.
            width, height = (scale, scale) if isinstance(scale, int) else scale
            return None if transform.get('keep_ratio') else (height, width)
    return None


def model_lock(model: nn.Module) -> threading.RLock:
    """The lock of a model: explanations change it temporarily.

    Args:
        model: A segmentor.
    """
    # Not an attribute: models are copied, and locks cannot be.
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(model, threading.RLock())


def prepare(model: nn.Module, image: np.ndarray) -> tuple[Tensor, list]:
    """Make a batch of one image.

    Args:
        model: A segmentor from ``mmseg.apis.init_model``, which holds its config.
        image: (H, W, 3) uint8, blue first.

    Returns:
        (1, 3, H', W') as input of the segmentor's backbone, and the data samples.
    """
    packed = build_image_pipeline(model.cfg)(dict(img=image))
    data = model.data_preprocessor(pseudo_collate([packed]), training=False)
    return data['inputs'], data['data_samples']


def check_scores(scores: Tensor) -> None:
    """Refuse NaN and infinite scores, which would count as "no lesion".

    Args:
        scores: Scores of any shape.

    Raises:
        ScoresError: A score is NaN or infinite.
    """
    # Quick test first: a finite sum has only finite terms. Finite terms may still have
    # a sum that overflows, so that the second test is needed.
    if not scores.sum().isfinite() and not scores.isfinite().all():
        raise ScoresError(
            'the model gives NaN or infinite scores for this image, which would count '
            'as no lesion. Its weights may be too large for its precision (try '
            'float32), or its input is out of range.'
        )


def lesion_probability(scores: Tensor) -> Tensor:
    """Probability that a pixel is of any class but the background, class 0.

    Args:
        scores: (C, H, W), ``seg_logits`` of a prediction: logits if C > 1; for one
            channel a probability, as mmseg has applied the sigmoid.

    Returns:
        (H, W) float in [0, 1].

    Raises:
        ScoresError: A score is NaN or infinite.
    """
    check_scores(scores)
    if len(scores) == 1:
        return scores[0].float()
    # Not 1 - P(background), which would lose the digits of small probabilities.
    return scores.float().softmax(dim=0)[1:].sum(dim=0).clamp(max=1)


def at_threshold(probability: np.ndarray, threshold: float) -> np.ndarray:
    """Pixels whose probability is at least a threshold, as in the records.

    Args:
        probability: (H, W), the network's probability, not calibrated.
        threshold: In [0, 1].

    Returns:
        (H, W) bool.
    """
    # In float32, as in the records from which the threshold was chosen.
    return probability.astype(np.float32) >= np.float32(threshold)
