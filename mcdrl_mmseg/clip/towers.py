"""CLIP towers: describe one, build it, load its weights."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from .dense import DENSE_MODES
from .hf_text import build_hf_text_tower, text_files
from .lora import plain_key
from .model_config import get_model_config
from .model_source import has_source
from .positions import fit_position_grid
from .timm_tower import build_timm_tower, is_timm_tower, timm_dense_modes
from .torchscript import is_torchscript
from .weights import (
    CLIPWeightsError,
    has_quick_gelu_weights,
    is_tag,
    load_clip_state_dict,
    names_a_file,
    resolve_weights_file,
    tag_uses_quick_gelu,
    weights_digest,
)


@dataclass(frozen=True)
class CLIPSpec:
    """Which CLIP a tower belongs to; both towers of a model share one spec.

    Args:
        model_name: open_clip's architecture name, as ``ViT-B-16``, or a location,
            ``hf-hub:ORG/NAME`` or ``local-dir:/PATH``.
        pretrained: open_clip tag, local file, or None. None takes the weights at the
            location, and random weights for an architecture.
        quick_gelu: Whether to use QuickGELU, the activation of OpenAI's weights. None
            decides by the model's name or the tag.
    """

    model_name: str
    pretrained: str | None = None
    quick_gelu: bool | None = None

    @property
    def uses_quick_gelu(self) -> bool:
        """Whether the activation is QuickGELU, with name and tag resolved."""
        if self.quick_gelu is not None:
            return self.quick_gelu
        if get_model_config(self.model_name).get('quick_gelu', False):
            return True
        return (
            self.pretrained is not None
            and is_tag(self.pretrained, self.model_name)
            and tag_uses_quick_gelu(self.pretrained, self.model_name)
        )

    @property
    def weights(self) -> str | None:
        """Name of the weights; None for random weights."""
        if self.pretrained is None and has_source(self.model_name):
            return self.model_name
        return self.pretrained

    def identity(self) -> dict[str, str]:
        """Everything that text embeddings depend on, for a fingerprint.

        Files are identified by their content, so a moved file counts as the same.

        Raises:
            CLIPWeightsError: See :func:`resolve_weights_file`.
        """
        if self.weights is None:
            weights = 'random'
        elif is_tag(self.weights, self.model_name):
            weights = self.weights
        else:
            path = resolve_weights_file(self.weights, self.model_name)
            weights = weights_digest(path)
        tower = self.model_name.replace('/', '-')
        if has_source(self.model_name):
            config = get_model_config(self.model_name)
            content = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
            for path in text_files(self.model_name, config['text_cfg']):
                content.update(hashlib.sha256(path.read_bytes()).digest())
            tower = content.hexdigest()
        return {
            'text_tower': tower,
            'quick_gelu': str(self.uses_quick_gelu),
            'weights': weights,
        }


def build_image_tower(spec: CLIPSpec) -> nn.Module:
    """Build the image tower alone, with random weights.

    Args:
        spec: The model.

    Returns:
        open_clip's ``VisionTransformer`` or ``ModifiedResNet``, or its ``TimmModel``
        of a family in :data:`mcdrl_mmseg.clip.timm_tower.FAMILIES`.

    Raises:
        ValueError: Unknown name, or a tower whose dense features are not defined here.
    """
    from open_clip.model import _build_vision_tower

    config = get_model_config(spec.model_name)
    vision = config['vision_cfg']
    try:
        if vision.get('timm_model_name'):
            return build_timm_tower(config['embed_dim'], vision)
        return _build_vision_tower(config['embed_dim'], vision, spec.uses_quick_gelu)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'model_name={spec.model_name!r} has an image tower that is not '
            f'supported: {error}'
        ) from error


def dense_modes(tower: nn.Module) -> tuple[str, ...]:
    """Dense modes that a tower allows.

    Args:
        tower: Tower of :func:`build_image_tower`.
    """
    if is_timm_tower(tower):
        return timm_dense_modes(tower)
    if hasattr(tower, 'attnpool'):
        return DENSE_MODES
    attention = getattr(tower.transformer.resblocks[-1], 'attn', None)
    plain = isinstance(attention, nn.MultiheadAttention)
    return DENSE_MODES if plain else DENSE_MODES[:1]


def build_text_tower(spec: CLIPSpec) -> nn.Module:
    """Build the text tower alone, with random weights.

    Args:
        spec: The model.

    Returns:
        open_clip's ``TextTransformer`` or ``HFTextEncoder``: token ids (n, length) ->
        (n, d).

    Raises:
        ModelSourceError: A Hugging Face tower is not available.
    """
    from open_clip.model import _build_text_tower

    config = get_model_config(spec.model_name)
    text_cfg = config['text_cfg']
    if text_cfg.get('hf_model_name'):
        return build_hf_text_tower(spec.model_name, config['embed_dim'], text_cfg)
    # CoCa's text tower would return its tokens as well.
    text_cfg = {**text_cfg, 'output_tokens': False}
    return _build_text_tower(config['embed_dim'], text_cfg, spec.uses_quick_gelu)


def load_tower_weights(tower: nn.Module, spec: CLIPSpec, prefix: str) -> None:
    """Fill one tower with the weights that the spec names.

    Positional embeddings of another grid are interpolated.

    Args:
        tower: Tower of :func:`build_image_tower` or :func:`build_text_tower`.
        spec: The model, with weights.
        prefix: ``'visual.'`` or ``'text.'``.

    Raises:
        CLIPWeightsError: The weights do not exist, are unreadable, belong to another
            architecture, or were trained with another activation.
    """
    assert spec.weights is not None
    path = resolve_weights_file(spec.weights, spec.model_name)
    _check_activation(spec, path)
    state = load_clip_state_dict(path)
    state = {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
    # In a tower with LoRA the checkpoint's weights are those that LoRA adapts.
    keys = {plain_key(key): key for key in tower.state_dict()}
    held = tower.state_dict()
    own = {key: held[of] for key, of in keys.items() if key is not None}
    # Skip a buffer that older versions of transformers saved.
    state = {
        key: value
        for key, value in state.items()
        if key in own or not key.endswith('.position_ids')
    }
    _fit_positions(state, own, getattr(tower, 'grid_size', None))
    # Batch norm's step counters have no effect, and some file formats lack them.
    missing = [
        key
        for key in own
        if key not in state and not key.endswith('.num_batches_tracked')
    ]
    mismatched = [
        f'{key} {tuple(value.shape)} (expected {tuple(own[key].shape)})'
        for key, value in state.items()
        if key in own and value.shape != own[key].shape
    ]
    unknown = sorted(set(state) - set(own))
    if missing or mismatched or unknown:
        raise CLIPWeightsError(
            f'{path} does not fit model_name={spec.model_name!r}: missing '
            f'{missing[:3]}, of another shape {mismatched[:3]}, unknown {unknown[:3]}. '
            'Set model_name to the architecture that these weights were trained with.'
        )
    tower.load_state_dict(
        {keys[key]: value for key, value in state.items()}, strict=False
    )


def _check_activation(spec: CLIPSpec, path: Path) -> None:
    """Refuse weights of another activation; warn if their activation is not known."""
    if spec.uses_quick_gelu:
        return
    if is_torchscript(path):
        raise CLIPWeightsError(
            f'{path} is an OpenAI archive, trained with QuickGELU, but '
            f'model_name={spec.model_name!r} is built with GELU, which gives wrong '
            'features without an error. Set quick_gelu=True.'
        )
    if spec.quick_gelu is not None or not names_a_file(
        spec.pretrained, spec.model_name
    ):
        return
    if has_quick_gelu_weights(spec.model_name):
        print_log(
            f'{path} does not record its activation; GELU is assumed. Published '
            f'weights of {spec.model_name} exist with GELU and with QuickGELU. Set '
            "quick_gelu=True if these have QuickGELU, like OpenAI's, or "
            'quick_gelu=False to silence this warning.',
            logger='current',
            level=logging.WARNING,
        )


def _fit_positions(
    state: dict[str, Tensor], own: dict[str, Tensor], grid: tuple[int, int] | None
) -> None:
    """Interpolate an image tower's positions of another, square grid.

    Args:
        state: Weights of the file; positions of no square grid are left as they are.
        own: Weights of the tower.
        grid: Height and width of the tower's grid; None for a square one.
    """
    for key in ('positional_embedding', 'attnpool.positional_embedding'):
        # The text tower's positions are a sequence, not a grid, and stay.
        if key not in state or key not in own or 'conv1.weight' not in own:
            continue
        given, wanted = len(state[key]) - 1, len(own[key]) - 1
        if given != wanted and math.isqrt(given) ** 2 == given:
            side = math.isqrt(wanted)
            state[key] = fit_position_grid(state[key].float(), grid or (side, side))
