"""A data preprocessor that changes the training images, batch by batch."""

from __future__ import annotations

from typing import Any

from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from mmseg.utils import ConfigType


@MODELS.register_module()
class AugmentingDataPreProcessor(SegDataPreProcessor):
    """MMSegmentation's data preprocessor, then an augmentation on the device.

    Only training batches are augmented. (The parent's ``batch_augments`` cannot be used
    for this: it takes no configs.)

    Args:
        augmentation: Config of a registered module that maps images (B, c, H, W),
            normalised, to images of the same shape, as :class:`CausalAugmentation`.
            Labels stay as they are.
        **kwargs: As for ``SegDataPreProcessor``.

    Examples:
        >>> data_preprocessor = dict(
        ...     type='AugmentingDataPreProcessor',
        ...     augmentation=dict(type='CausalAugmentation'),
        ...     mean=[122.77, 116.75, 104.09],
        ...     std=[68.5, 66.63, 70.32],
        ...     bgr_to_rgb=True,
        ...     size=(224, 224))
    """

    def __init__(self, augmentation: ConfigType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.augmentation = MODELS.build(augmentation)

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Normalise, stack and, in training, augment.

        Args:
            data: Batch from the data loader.
            training: Whether to augment.

        Returns:
            ``inputs`` (B, c, H, W) and ``data_samples``.
        """
        batch = super().forward(data, training)
        if training:
            batch['inputs'] = self.augmentation(batch['inputs'])
        return batch
