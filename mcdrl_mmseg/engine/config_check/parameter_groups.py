"""Learning rates by parameter name: names change when MCDRL wraps a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mcdrl_mmseg.models import CLIPGuidedBackbone, CLIPVisionBackbone

from .config_components import Component
from .config_problem import ConfigProblem
from .model_building import parameter_names

_PLACE = 'optim_wrapper.paramwise_cfg.custom_keys'
# These constructors know backbones by class and their layers by name.
_BY_BACKBONE = (
    'LearningRateDecayOptimizerConstructor',
    'LayerDecayOptimizerConstructor',
)
_MOVED = {
    'backbone.backbone.': 'backbone.',
    'backbone.neck.': 'neck.',
    'decode_head.predictor.': 'decode_head.',
}


def group_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Rates of a stock model's config that hit other parameters under MCDRL."""
    wrapper = cfg.get('optim_wrapper') or {}
    backbone = next((part for part in parts if part.place == 'model.backbone'), None)
    if backbone is None or not isinstance(wrapper, Mapping):
        return
    guided = backbone.is_a(CLIPGuidedBackbone)
    if not guided and not backbone.is_a(CLIPVisionBackbone):
        return
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    constructor = wrapper.get('constructor')
    if constructor in _BY_BACKBONE:
        first = 'backbone.layers.0.' if guided else 'tower.layer1.'
        yield ConfigProblem(
            'optim_wrapper.constructor',
            f'{constructor} recognises a backbone by its class name and does not know '
            f'{backbone.cls.__name__}.',
            'Remove it, and set the rates of layers by paramwise_cfg=dict('
            f"custom_keys={{'backbone.{first}': dict(lr_mult=0.1)}}).",
        )
        return
    rule = _other_keys if guided else _keys_of_heads
    yield from rule([*map(str, keys)], cfg['model'])


def _keys_of_heads(
    keys: Sequence[str], model: Mapping[str, Any]
) -> Iterator[ConfigProblem]:
    """MMSegmentation's key ``head``, which also occurs in names of a CLIP tower."""
    reached: dict[str, list[str]] = {}
    for name in parameter_names(model) if keys else ():
        key = _key_of(name, keys)
        if key and key in 'decode_head' and name.startswith('backbone.'):
            reached.setdefault(key, []).append(name)
    for key, names in reached.items():
        yield ConfigProblem(
            _PLACE,
            f'{key!r} also matches {len(names)} parameters of the CLIP tower, such as '
            f'{names[0]}.',
            "Use the key 'decode_head' for the head, and full names for parameters of "
            'the tower if they are meant.',
        )


def _other_keys(
    keys: Sequence[str], model: Mapping[str, Any]
) -> Iterator[ConfigProblem]:
    found: dict[tuple[str | None, str | None], list[str]] = {}
    for name in parameter_names(model) if keys else ():
        stock = _stock_name(name)
        pair = _key_of(stock, keys), _key_of(name, keys)
        if pair[0] != pair[1] and not _names_mcdrl(pair[1]):
            found.setdefault(pair, []).append(name)
    for (before, now), names in found.items():
        first = names[0]
        yield ConfigProblem(
            _PLACE,
            f'{len(names)} parameters, such as {first}, {_said(now)} with MCDRL. '
            f'In the stock model, where it is {_stock_name(first)}, they '
            f'{_said(before)}.',
            'Use longer keys: with MCDRL names of the backbone begin with '
            "'backbone.backbone.', of the neck with 'backbone.neck.', and of the head "
            "with 'decode_head.predictor.'.",
        )


def _stock_name(name: str) -> str:
    """The name that a parameter has in the model that MCDRL wraps."""
    for prefix, stock in _MOVED.items():
        if name.startswith(prefix):
            return stock + name.removeprefix(prefix)
    return name


def _key_of(name: str, keys: Iterable[str]) -> str | None:
    """The key that MMEngine uses for a parameter: the longest one within its name."""
    within = [key for key in sorted(keys) if key in name]
    return max(within, key=len, default=None)


def _names_mcdrl(key: str | None) -> bool:
    """Whether a key was written for the model with MCDRL in it."""
    return any(prefix.rstrip('.') in (key or '') for prefix in _MOVED)


def _said(key: str | None) -> str:
    return 'match no key' if key is None else f'match the key {key!r}'
