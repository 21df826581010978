"""The size at which a model predicts, as its test pipeline says."""

from __future__ import annotations

from collections.abc import Mapping


def pipeline_size(cfg: Mapping) -> tuple[int, int] | None:
    """Height and width to which a test pipeline resizes every image.

    Args:
        cfg: The config that a model was built from.

    Returns:
        Pixels; None where images keep their size or their ratio, so that each has
        another.
    """
    transforms = cfg.get('test_pipeline')
    if transforms is None:
        dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
        transforms = dataset.get('pipeline')
    for transform in transforms or ():
        scale = transform.get('scale')
        if str(transform['type']).rpartition('.')[2] == 'Resize' and scale:
            # MMCV's scale is (width, height), or one side for both.
            width, height = (scale, scale) if isinstance(scale, int) else scale
            return None if transform.get('keep_ratio') else (height, width)
    return None
