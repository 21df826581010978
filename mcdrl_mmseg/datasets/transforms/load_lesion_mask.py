"""LoadLesionMask: the mask file of an image, as segmentation labels."""

from __future__ import annotations

from pathlib import Path

import mmengine.fileio
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

MASK_LOADERS = ('LoadAnnotations', 'LoadLesionMask')
"""Transforms that read a mask, mmseg's and ours."""


@TRANSFORMS.register_module()
class LoadLesionMask(BaseTransform):
    """Load the mask of an :class:`EndoscopySiteDataset` image.

    Replaces ``LoadAnnotations``. Reads ``seg_map_path`` and ``mask_format``; adds
    ``gt_seg_map`` (H, W) uint8 and ``lesion_classes``, the names of the lesion classes
    in this image, empty for an image without lesion. As in verification, explanation
    and export, truncated and multi-page files are refused.

    Results without ``seg_map_path`` pass unchanged: mmseg's ``inference_model`` and
    ``MMSegInferencer`` run the test pipeline on images without a mask, and remove only
    mmseg's own mask loaders from it.

    Args:
        backend_args: File backend, as in mmseg's ``LoadAnnotations``.

    Examples:
        >>> train_pipeline = [
        ...     dict(type='LoadImageFromFile'),
        ...     dict(type='LoadLesionMask'),
        ...     dict(type='Resize', scale=(224, 224)),
        ...     dict(
        ...         type='PackSegInputs',
        ...         meta_keys=('img_path', 'ori_shape', 'img_shape', 'site',
        ...                    'lesion_classes'))]
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
        from mcdrl_common.findings import FileProblem
        from mcdrl_common.mask_files import read_mask_pixels
        from mcdrl_common.mask_format import MaskError

        try:
            with mmengine.fileio.get_local_path(
                path, backend_args=self.backend_args
            ) as local:
                mask = read_mask_pixels(Path(local))
        except FileProblem as problem:
            raise MaskError(f'{path}: {problem.detail}.') from None
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
