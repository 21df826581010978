"""Metadata of an exported file, so that it can be used without a config."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from mcdrl_mmseg.models.last_decode_head import last_decode_head
from mcdrl_mmseg.version import __version__

from .deployable import DeployableSegmentor

PREFIX = 'mcdrl.'
"""Prefix of the entries in an ONNX file's ``metadata_props``."""
EXTRA_FILE = 'mcdrl.json'
"""Name of the extra file in TorchScript and torch.export files."""


def describe(
    module: DeployableSegmentor, size: tuple[int, int], multiple: int | None
) -> dict[str, Any]:
    """Collect the metadata that a user of the file needs.

    Args:
        module: The model.
        size: Height and width in pixels that it was exported with.
        multiple: The file accepts heights and widths that are multiples of this; None
            if it only accepts ``size``.

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
    """Threshold on the file's probability that gives the uncalibrated model's masks."""
    threshold = float(last_decode_head(module.model).threshold)
    if module.temperature is None or not 0 < threshold < 1:
        return threshold
    (temperature,) = module.temperature
    odds = math.log(threshold / (1 - threshold)) / temperature
    return 1 / (1 + math.exp(-odds))


def to_strings(description: Mapping[str, Any]) -> dict[str, str]:
    """Metadata for ONNX: JSON text under ``mcdrl.NAME``."""
    return {PREFIX + name: json.dumps(value) for name, value in description.items()}


def from_strings(texts: Mapping[str, str]) -> dict[str, Any]:
    """The inverse of :func:`to_strings`; other entries are ignored."""
    return {
        name.removeprefix(PREFIX): json.loads(text)
        for name, text in texts.items()
        if name.startswith(PREFIX)
    }
