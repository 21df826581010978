"""The parts of MCDRL that several rules ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mcdrl_common.config_datasets import datasets
from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.models import CLIPGuidedBackbone, CLIPVisionBackbone

from .config_components import Component


def image_tower(parts: Iterable[Component]) -> tuple[str, CLIPSpec] | None:
    """Place and spec of the model's CLIP image tower, if it has one.

    Args:
        parts: Components of the config.
    """
    for part in parts:
        if part.is_a(CLIPGuidedBackbone):
            return part.at('clip'), clip_spec(part.cfg.get('clip') or {})
        if part.is_a(CLIPVisionBackbone):
            return part.place, clip_spec(part.cfg)
    return None


def clip_spec(cfg: Mapping[str, Any]) -> CLIPSpec:
    """The spec that a config's entries describe.

    Args:
        cfg: Entries of a backbone, or of a text tower.
    """
    return CLIPSpec(
        cfg.get('model_name', 'ViT-B-16'), cfg.get('pretrained'), cfg.get('quick_gelu')
    )


def data_parts(cfg: Mapping[str, Any], loader: str) -> Iterator[Mapping[str, Any]]:
    """The data sets of a loader, without what wraps them.

    Args:
        cfg: Experiment config.
        loader: ``'train_dataloader'`` or another one.
    """
    for part in datasets((cfg.get(loader) or {}).get('dataset')):
        if not (part.get('dataset') or part.get('datasets')):
            yield part
