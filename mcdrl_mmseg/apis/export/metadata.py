"""What a file says of itself, so that whoever runs it needs no config."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from mcdrl_mmseg.models.last_decode_head import last_decode_head
from mcdrl_mmseg.version import __version__

from .deployable import DeployableSegmentor

PREFIX = 'mcdrl.'
"""Of the entries in an ONNX file's ``metadata_props``."""
EXTRA_FILE = 'mcdrl.json'
"""Name of the extra file in TorchScript and torch.export files."""


def describe(
    module: DeployableSegmentor, size: tuple[int, int], multiple: int | None
) -> dict[str, Any]:
    """Collect what a user of the file has to know.

    Args:
        module: The model.
        size: Height and width in pixels that it was exported with.
        multiple: Heights and widths that are multiples of it are taken; None where
            ``size`` alone is.

    Returns:
        Plain data.
    """
    model = module.model
    channels = model.out_channels
    return dict(
        classes=list(model.dataset_meta['classes']),
        input='images: (batch, 3, height, width) uint8, 0..255',
        output='logits: (batch, channels, height, width) float32',
        channel_order='RGB',
        activation='sigmoid' if channels == 1 else 'softmax over channels',
        threshold=_threshold(module) if channels == 1 else None,
        temperature=None if module.temperature is None else [*module.temperature],
        normalisation='inside',
        mean=module.mean.flatten().tolist(),
        std=module.std.flatten().tolist(),
        network_channel_order='RGB' if module.takes_rgb else 'BGR',
        height=size[0],
        width=size[1],
        size_multiple=multiple,
        mcdrl_mmseg=__version__,
    )


def _threshold(module: DeployableSegmentor) -> float:
    """For the file's own probability; the masks are those of the uncalibrated one."""
    threshold = float(last_decode_head(module.model).threshold)
    if module.temperature is None or not 0 < threshold < 1:
        return threshold
    (temperature,) = module.temperature
    odds = math.log(threshold / (1 - threshold)) / temperature
    return 1 / (1 + math.exp(-odds))


def to_strings(description: Mapping[str, Any]) -> dict[str, str]:
    """As ONNX takes them: JSON text under ``mcdrl.NAME``."""
    return {PREFIX + name: json.dumps(value) for name, value in description.items()}


def from_strings(texts: Mapping[str, str]) -> dict[str, Any]:
    """The inverse of :func:`to_strings`; other entries are left out."""
    return {
        name.removeprefix(PREFIX): json.loads(text)
        for name, text in texts.items()
        if name.startswith(PREFIX)
    }
