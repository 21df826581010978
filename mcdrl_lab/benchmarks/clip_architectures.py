"""Which of open_clip's architectures can be used: towers, text sides, dense modes.

Models are built on torch's ``meta`` device, without weights, memory or network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from mcdrl_mmseg.clip import CLIPSpec, build_image_tower, dense_modes
from mcdrl_mmseg.clip.dense import DENSE_MODES
from mcdrl_mmseg.clip.meta_build import meta_build
from mcdrl_mmseg.clip.model_config import context_length, get_model_config
from mcdrl_mmseg.clip.normalisation import (
    Normalisation,
    normalisation_by_name,
    openai_normalisation,
)
from mcdrl_mmseg.clip.timm_tower import is_timm_tower

_OWN = 'mcdrl-'
_NORMALISATIONS = {
    Normalisation((0.5,) * 3, (0.5,) * 3): '0.5',
    Normalisation((0.0,) * 3, (1.0,) * 3): 'none',
    Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)): 'ImageNet',
}
_ALL = len(DENSE_MODES)
_HEADER = ('architecture', 'image tower', 'd', 'text side', 'normalisation', 'modes')


@dataclass(frozen=True)
class Architecture:
    """A row of the table.

    Attributes:
        name: open_clip's name.
        tower: Kind of the image tower.
        embed_dims: d, width of the joint space.
        text: Kind of the text side, its tokenizer and context length.
        normalisation: Name of the pixel normalisation, as OpenAI's.
        modes: Dense modes; empty if the tower is refused.
        refusal: Why it is refused, or None.
    """

    name: str
    tower: str
    embed_dims: int
    text: str
    normalisation: str
    modes: tuple[str, ...]
    refusal: str | None = None


def architecture_names() -> list[str]:
    """open_clip's own architectures, without those of the plug-in."""
    import open_clip

    names = open_clip.list_models()
    return [name for name in names if not name.startswith(_OWN)]


def describe(name: str) -> Architecture:
    """Build an architecture's image tower on ``meta`` and describe it.

    Args:
        name: open_clip's name.
    """
    config = get_model_config(name)
    tower, refusal = '-', None
    modes: tuple[str, ...] = ()
    try:
        with meta_build():
            built = build_image_tower(CLIPSpec(name))
        tower, modes = _kind(built), dense_modes(built)
    except ValueError as error:
        refusal = str(error).partition('not supported: ')[2] or str(error)
    own = normalisation_by_name(name)
    known = {**_NORMALISATIONS, openai_normalisation(): 'OpenAI'}
    return Architecture(
        name,
        tower,
        config['embed_dim'],
        _text_side(config),
        known.get(own, str(own)),
        modes,
        refusal,
    )


def _kind(tower: torch.nn.Module) -> str:
    if is_timm_tower(tower):
        pool = getattr(tower.trunk, 'attn_pool', None)
        return (
            f'{type(tower.trunk).__name__} (timm{", attention pool" if pool else ""})'
        )
    pool = getattr(tower, 'attn_pool', None)
    return type(tower).__name__ + (' (attention pool)' if pool is not None else '')


def _text_side(config: dict) -> str:
    text = config['text_cfg']
    length = context_length(text)
    if text.get('hf_model_name'):
        return f'`{text["hf_model_name"]}` [hf], {length}'
    kind = 'CoCa' if 'multimodal_cfg' in config else 'transformer'
    words = text.get('hf_tokenizer_name')
    return f'{kind}{f", words of `{words}` [hf]" if words else ""}, {length}'


def markdown(rows: Iterable[Architecture]) -> str:
    """The table, and how many can be used.

    Args:
        rows: From :func:`describe`.
    """
    rows = list(rows)
    built = sum(row.refusal is None for row in rows)
    lines = [f'{built} of {len(rows)} build.', '', _line(_HEADER)]
    lines.append(_line(['---'] * len(_HEADER)))
    for row in rows:
        modes = ', '.join(row.modes) if len(row.modes) < _ALL else 'all'
        last = f'refused: {row.refusal}' if row.refusal else modes
        lines.append(
            _line(
                (
                    f'`{row.name}`',
                    row.tower,
                    str(row.embed_dims),
                    row.text,
                    row.normalisation,
                    last,
                )
            )
        )
    return '\n'.join(lines) + '\n'


def _line(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'
