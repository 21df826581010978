"""LesionBalancedCrop: equally many crops with and without a lesion."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LesionBalancedCrop(BaseTransform):
    """Crop some images, equally often to a part without a lesion and one with a lesion.

    If almost every training image shows a lesion, a network learns to expect one. Crops
    without a lesion are healthy images of the same hospitals. Alone, they would teach
    that magnified views are healthy. Therefore equally many crops of the same sizes
    show a lesion, which means at least half of its area, or half of the crop.

    Place it after the loading of image and mask, and before ``Resize``. An image
    without a suitable position for the drawn crop size stays whole.

    Args:
        prob: Share of the images to crop, if possible.
        scale_range: Range of a crop's height and width, relative to the image's.
        min_view: Least share of a crop inside the field of view, that is, outside the
            black border of an endoscope's frame.
        ignore_index: Label of pixels without ground truth. They count as no lesion, and
            crops without a lesion contain none of them.

    Raises:
        ValueError: A value out of its range.

    Examples:
        >>> train_pipeline = [
        ...     dict(type='LoadImageFromFile'),
        ...     dict(type='LoadLesionMask'),
        ...     dict(type='LesionBalancedCrop', prob=0.5),
        ...     dict(type='Resize', scale=(224, 224)),
        ...     dict(type='PackSegInputs')]
    """

    def __init__(
        self,
        prob: float = 0.5,
        scale_range: tuple[float, float] = (0.4, 0.7),
        min_view: float = 0.8,
        ignore_index: int = 255,
    ) -> None:
        for name, value in (('prob', prob), ('min_view', min_view)):
            if not 0 <= value <= 1:
                raise ValueError(
                    f'LesionBalancedCrop: {name}={value} must lie in [0, 1].'
                )
        smallest, largest = scale_range
        if not 0 < smallest <= largest <= 1:
            raise ValueError(
                f'LesionBalancedCrop: {scale_range=} must be two values in (0, 1], the '
                'smaller one first.'
            )
        self.prob = prob
        self.scale_range = (smallest, largest)
        self.min_view = min_view
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        """Crop ``img`` and all ``seg_fields``, and set ``img_shape``."""
        if np.random.rand() >= self.prob:
            return results
        image, labels = results['img'], results['gt_seg_map']
        scale = np.random.uniform(*self.scale_range)
        height, width = (max(round(scale * side), 1) for side in labels.shape)
        with_lesion = np.random.rand() < 0.5

        # Imported late: few configs crop.
        from mcdrl_common.crop_positions import crop_positions
        from mcdrl_common.mask_format import IGNORED

        labels = np.where(labels == self.ignore_index, IGNORED, labels)
        allowed = crop_positions(
            image, labels, (height, width), with_lesion, self.min_view
        )
        positions = np.flatnonzero(allowed)
        if not len(positions):
            return results
        position = positions[np.random.randint(len(positions))]
        top, left = divmod(int(position), allowed.shape[1])
        window = (slice(top, top + height), slice(left, left + width))
        results['img'] = image[window]
        for key in results.get('seg_fields', ['gt_seg_map']):
            results[key] = results[key][window]
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, scale_range={self.scale_range}, '
            f'min_view={self.min_view}, ignore_index={self.ignore_index})'
        )
