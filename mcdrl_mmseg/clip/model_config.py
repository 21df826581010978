"""open_clip architecture configs, with the plug-in's own small models added."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .model_source import has_source, read_source

_CONTEXT_LENGTH = 77  # open_clip's default
_OWN_CONFIGS = Path(__file__).parent / 'model_configs'


@cache
def _register_own_configs() -> None:
    import open_clip

    open_clip.add_model_config(_OWN_CONFIGS)


def get_model_config(model_name: str) -> dict:
    """Architecture config of a CLIP model.

    Args:
        model_name: Name in open_clip's list (slashes may stand for dashes, as in
            ``ViT-B/16``); or one of the plug-in's own, as ``mcdrl-tiny-vit`` and
            ``mcdrl-tiny-rn``; or a location, ``hf-hub:ORG/NAME`` or
            ``local-dir:/PATH`` (:mod:`mcdrl_mmseg.clip.model_source`).

    Returns:
        open_clip's config: ``embed_dim``, ``vision_cfg``, ``text_cfg`` and further
        keys.

    Raises:
        ValueError: Unknown name; the message offers the nearest known ones.
        ModelSourceError: No model at this location; also a ValueError.
    """
    if has_source(model_name):
        return read_source(model_name).model
    import open_clip

    _register_own_configs()
    name = model_name.replace('/', '-')
    config = open_clip.get_model_config(name)
    if config is None:
        near = difflib.get_close_matches(name, open_clip.list_models(), n=3, cutoff=0.4)
        hint = f' Did you mean {" or ".join(near)}?' if near else ''
        raise ValueError(
            f'model_name={model_name!r} is not an open_clip architecture.{hint} '
            'open_clip.list_models() gives all names.'
        )
    return config


def context_length(text_cfg: Mapping[str, Any]) -> int:
    """Tokens of a text; ten of open_clip's configs rely on the default.

    Args:
        text_cfg: open_clip's ``text_cfg``.
    """
    return text_cfg.get('context_length') or _CONTEXT_LENGTH
