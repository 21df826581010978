"""Low-rank adaptation of an image tower (Hu et al., "LoRA", ICLR 2022).

A weight W of a transformer block becomes W + (alpha / rank) B A; only A and B are
trained. B starts at zero, so that the tower initially equals the frozen one, bit for
bit. The update is a parametrization of the weight: code that reads the weight directly,
as the dense modes do, gets the sum as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

LORA_TARGETS = ('q', 'k', 'v', 'out', 'mlp')
"""Weights that can be adapted: query, key, value, attention output, feed-forward."""

_QKV = LORA_TARGETS[:3]
# Names of attention and feed-forward in the blocks of open_clip and timm.
_BLOCK = re.compile(r'(?:^|\.)(?:resblocks|blocks)\.\d+\.(attn|mlp)(?:\.(.*))?$')
_OUTPUTS = ('out_proj', 'proj')
# In the key of a weight that torch computes from others.
_MARK = 'parametrizations.'


class LowRank(nn.Module):
    """W -> W + (alpha / rank) B A, for some of n weights that are stacked in W.

    Args:
        shape: Shape of W, (n * out, in): n weights stacked along the rows.
        count: n.
        parts: Indices of the adapted weights.
        rank: Columns of B and rows of A.
        alpha: Numerator of the scale alpha / rank.
    """

    def __init__(
        self,
        shape: Sequence[int],
        count: int,
        parts: Sequence[int],
        rank: int,
        alpha: float,
    ) -> None:
        super().__init__()
        out, inputs = shape[0] // count, shape[1]
        self.count, self.parts, self.ratio = count, tuple(parts), alpha / rank
        # In checkpoints, so that a load under another scale is noticed.
        self.register_buffer('scale', torch.tensor(self.ratio))
        self.down = nn.Parameter(torch.empty(len(self.parts), rank, inputs))
        self.up = nn.Parameter(torch.zeros(len(self.parts), out, rank))
        for matrix in self.down:
            nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """(n * out, in) -> (n * out, in)."""
        change = self.ratio * (self.up @ self.down)
        if len(self.parts) == self.count:
            return weight + change.flatten(0, 1)
        rows = list(weight.chunk(self.count))
        for number, part in enumerate(self.parts):
            rows[part] = rows[part] + change[number]
        return torch.cat(rows)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any
    ) -> None:
        trained = state_dict.get(f'{prefix}scale')
        # The tolerance is for checkpoints in half precision.
        if trained is not None and not math.isclose(
            trained.item(), self.ratio, rel_tol=1e-2
        ):
            from .weights import CLIPWeightsError

            raise CLIPWeightsError(
                'The low-rank changes in the checkpoint were trained with '
                f'alpha / rank = {trained.item():.4g}, but the config has '
                f'{self.ratio:.4g}. Use the alpha of the training in lora of the '
                'CLIPVisionBackbone.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)


def add_lora(
    tower: nn.Module,
    rank: int = 8,
    alpha: float | None = None,
    targets: Sequence[str] = LORA_TARGETS,
) -> None:
    """Freeze a tower, and put trained low-rank changes on weights of its blocks.

    Args:
        tower: Tower of :func:`mcdrl_mmseg.clip.build_image_tower`.
        rank: Rank of an update.
        alpha: An update is multiplied by alpha / rank; None takes the rank.
        targets: Some of :data:`LORA_TARGETS`.

    Raises:
        ValueError: A rank below 1, an unknown target, or one that the tower lacks.
    """
    unknown = sorted(set(targets) - set(LORA_TARGETS))
    if rank < 1 or unknown or not targets:
        raise ValueError(
            f'lora: rank={rank} must be at least 1, and targets={list(targets)} must '
            f'name one or more of {list(LORA_TARGETS)}.'
        )
    weights = list(_weights(tower))
    there = {kind for _, _, kinds in weights for kind in kinds}
    missing = [target for target in targets if target not in there]
    if missing:
        raise ValueError(
            f'lora: the tower has no weights for targets={missing}; it has '
            f'{[target for target in LORA_TARGETS if target in there]}.'
        )
    tower.requires_grad_(False)
    for module, name, kinds in weights:
        parts = [number for number, kind in enumerate(kinds) if kind in targets]
        if parts:
            shape = getattr(module, name).shape
            change = LowRank(shape, len(kinds), parts, rank, alpha or rank)
            parametrize.register_parametrization(module, name, change)


def _weights(tower: nn.Module) -> Iterator[tuple[nn.Module, str, tuple[str, ...]]]:
    """Module, name of the parameter, and the weights that are stacked in it."""
    for path, module in list(tower.named_modules()):
        match = _BLOCK.search(path)
        if match is None:
            continue
        branch, name = match[1], match[2] or ''
        if getattr(module, 'in_proj_weight', None) is not None:
            yield module, 'in_proj_weight', _QKV
        elif not isinstance(module, nn.Linear):
            continue
        elif branch == 'mlp':
            yield module, 'weight', ('mlp',)
        elif name == 'qkv':
            yield module, 'weight', _QKV
        elif name in ('q_proj', 'k_proj', 'v_proj'):
            yield module, 'weight', (name[0],)
        elif name in _OUTPUTS:
            yield module, 'weight', ('out',)


def plain_key(key: str) -> str | None:
    """The key that a parameter would have without LoRA; None for LoRA's parameters.

    Args:
        key: Key of a state dict.
    """
    head, mark, rest = key.partition(_MARK)
    if not mark:
        return key
    name, _, kind = rest.partition('.')
    return f'{head}{name}' if kind == 'original' else None


def fit_lora_keys(tower: nn.Module, state: dict[str, Tensor], prefix: str) -> None:
    """Bring weights about to be loaded into the form that a tower has.

    Of a tower without LoRA the adapted weights have other names, which a load that is
    not strict, as MMEngine's, would pass over.

    Args:
        tower: With or without LoRA.
        state: Of a model; the weights that are to be adapted get their new names.
        prefix: Of the tower's keys.

    Raises:
        CLIPWeightsError: Low-rank changes for which the tower has no place.
    """
    adapted = any(isinstance(module, LowRank) for module in tower.modules())
    if not adapted and not any(_MARK in key for key in state):
        return
    own = {prefix + key: value.shape for key, value in tower.state_dict().items()}
    for key in own:
        plain = plain_key(key)
        if plain not in (None, key) and key not in state and plain in state:
            state[key] = state.pop(plain)
    lost = sorted(
        key
        for key, value in state.items()
        if key.startswith(prefix) and _MARK in key and own.get(key) != value.shape
    )
    if lost:
        from .weights import CLIPWeightsError

        raise CLIPWeightsError(
            f'The checkpoint holds {len(lost)} LoRA weights that do not fit the '
            f'config, for example {lost[0]}: the tower would lose them. Give '
            'CLIPVisionBackbone the same lora (rank, alpha, targets) as in training.'
        )


def merge_lora(model: nn.Module) -> None:
    """Merge the updates into the weights, in place; no effect on other models.

    Args:
        model: A tower, or a model that holds one.
    """
    for module in list(model.modules()):
        found = dict(getattr(module, 'parametrizations', {}))
        if not any(isinstance(part[0], LowRank) for part in found.values()):
            continue
        merged = {name: getattr(module, name).detach() for name in found}
        # torch's own removal changes the class, which copies of the module share.
        module.__class__ = type(module).__bases__[0]
        del module.parametrizations
        for name, weight in merged.items():
            parameter = nn.Parameter(weight, requires_grad=False)
            module.register_parameter(name, parameter)
