"""Components of MCDRL that several rules look up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.models import CLIPGuidedBackbone, CLIPVisionBackbone
from mcdrl_mmseg.prompts import PromptError, PromptSet

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
        cfg: Config of a backbone or of a text tower.
    """
    return CLIPSpec(
        cfg.get('model_name', 'ViT-B-16'), cfg.get('pretrained'), cfg.get('quick_gelu')
    )


def prompts_of(dictionary: Mapping[str, Any]) -> PromptSet | None:
    """The prompts of a ConfounderDictionary; None if its constructor refuses them.

    Args:
        dictionary: Its config.
    """
    try:
        return PromptSet.from_cfg(dictionary.get('prompts') or {})
    except PromptError:
        return None
