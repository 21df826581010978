"""Lesion masks as files: 0/255 or indices, to segmentation labels."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import mmcv
import mmengine.fileio
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

# Masks saved as JPEG have soft edges: half of the range decides.
_BINARY_THRESHOLD = 127


class MaskError(ValueError):
    """A mask that cannot be read as labels; the message names the file."""


@dataclass(frozen=True)
class MaskFormat:
    """How the mask files of a site are read.

    Args:
        lesion_classes: Value in the file -> lesion class. A 0/255 mask has the one
            value 255.
        labels: Value in the file -> segmentation label, for every allowed value.
        binary: Whether the files are 0/255 masks, thresholded at half the range.
    """

    lesion_classes: Mapping[int, str]
    labels: Mapping[int, int]
    binary: bool

    def decode(
        self, mask: np.ndarray, path: str | Path
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """Turn the values of a file into labels.

        Args:
            mask: (H, W) or (H, W, C) uint8; all channels must agree.
            path: For messages.

        Returns:
            (H, W) uint8 labels, of which 255 is ignored in training and evaluation,
            and the names of the lesion classes present.

        Raises:
            MaskError: Not 8 bits, channels that differ, a value without label, or a
                mask of small indices where 0/255 is expected.
        """
        if mask.dtype != np.uint8:
            raise MaskError(f'{path}: {mask.dtype} values; expected 8-bit ones.')
        if mask.ndim == 3:
            if (mask != mask[..., :1]).any():
                raise MaskError(f'{path}: a colour mask; expected one channel.')
            mask = mask[..., 0]
        if self.binary:
            if 0 < mask.max() <= _BINARY_THRESHOLD:
                raise MaskError(
                    f'{path}: highest value is {mask.max()}, but a 0/255 mask is '
                    'expected. Give the site mask_values={value: class name} if the '
                    'values are indices.'
                )
            mask = np.where(mask > _BINARY_THRESHOLD, np.uint8(255), np.uint8(0))
        present = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist()
        unknown = [value for value in present if value not in self.labels]
        if unknown:
            raise MaskError(
                f'{path}: values {unknown} are not in mask_values, which names '
                f'{sorted(self.labels)}.'
            )
        table = np.zeros(256, dtype=np.uint8)
        for value, label in self.labels.items():
            table[value] = label
        names = [self.lesion_classes[v] for v in present if v in self.lesion_classes]
        return table[mask], tuple(dict.fromkeys(names))


@TRANSFORMS.register_module()
class LoadLesionMask(BaseTransform):
    """Load the mask of an :class:`EndoscopySiteDataset` image.

    Takes the place of ``LoadAnnotations``. Reads ``seg_map_path`` and
    ``mask_format``; adds ``gt_seg_map`` (H, W) uint8 and ``lesion_classes``, the
    names of the lesion classes in this image, empty for a lesion-free one.

    Results without ``seg_map_path`` pass as they are: mmseg's ``inference_model`` and
    ``MMSegInferencer`` run the test pipeline on images that have no mask, and take
    only mmseg's own loaders of masks out of it.

    Args:
        backend_args: Where files lie, as in mmseg's ``LoadAnnotations``.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load.

        Raises:
            MaskError: The mask is unreadable, of another size than the image, or
                holds unexpected values.
        """
        path = results.get('seg_map_path')
        if path is None:
            return results
        content = mmengine.fileio.get(path, backend_args=self.backend_args)
        mask = None
        # OpenCV fails on an empty file, and on some damaged ones.
        with contextlib.suppress(cv2.error):
            mask = mmcv.imfrombytes(content, flag='unchanged', backend='cv2')
        if mask is None:
            raise MaskError(f'{path}: not a readable image; it may be damaged.')
        labels, lesion_classes = results['mask_format'].decode(mask, path)
        if 'ori_shape' in results and labels.shape != tuple(results['ori_shape']):
            raise MaskError(
                f'{path}: the mask is {labels.shape}, the image '
                f'{tuple(results["ori_shape"])} (height, width); they must agree.'
            )
        results['lesion_classes'] = lesion_classes
        results['gt_seg_map'] = labels
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'
