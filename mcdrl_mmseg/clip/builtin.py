"""The built-in CLIPs: where their weight files are, and how the tiny one is packed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

BUILTIN = 'builtin'
"""Value of ``pretrained`` that names the weights inside the package."""

_FOLDER = Path(__file__).parent / 'model_weights'
_TABLE = 'token_embedding.weight'
_ROWS, _IDS, _SIZE = (f'token_embedding.{name}' for name in ('rows', 'ids', 'size'))
# CLIP's own table holds 49,408 x 1,280 at most.
_MAX_NUMBERS = 2**27
# Standard deviation of open_clip's initial token embeddings, and a fixed seed.
_UNTRAINED_STD, _UNTRAINED_SEED = 0.02, 0


def builtin_models() -> list[str]:
    """Names of the architectures with built-in weights."""
    return sorted(path.stem for path in _FOLDER.glob('*.safetensors'))


def builtin_weights(model_name: str) -> Path:
    """File of an architecture's built-in weights, which may not exist.

    Args:
        model_name: open_clip's or the plug-in's name of the architecture.
    """
    return _FOLDER / f'{model_name.replace("/", "-")}.safetensors'


def pack(state: dict[str, Tensor], trained_ids: Iterable[int]) -> dict[str, Tensor]:
    """Make a state dict small: half precision, and only token rows that were trained.

    Args:
        state: State dict of an open_clip ``CLIP``.
        trained_ids: Token ids that occurred in the training.

    Returns:
        The state dict with ``token_embedding.rows``, ``.ids`` and ``.size`` in place
        of ``token_embedding.weight``, and without batch norm's counters.
    """
    ids = torch.tensor(sorted(set(trained_ids)), dtype=torch.int32)
    packed = {
        key: value.detach().cpu().half().contiguous()
        for key, value in state.items()
        if key != _TABLE and not key.endswith('.num_batches_tracked')
    }
    packed[_ROWS] = state[_TABLE][ids.long()].detach().cpu().half().contiguous()
    packed[_IDS] = ids
    packed[_SIZE] = torch.tensor(len(state[_TABLE]), dtype=torch.int32)
    return packed


def unpack(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undo :func:`pack`; any other state dict is returned as it is.

    Tokens that never occurred in the training get fixed random rows: unknown words have
    different embeddings, without a meaning.

    Args:
        state: Content of a weights file.

    Returns:
        A state dict with ``token_embedding.weight``.

    Raises:
        ValueError: The token table is malformed, or larger than any vocabulary's.
    """
    if _ROWS not in state:
        return state
    size, width = int(state[_SIZE]), state[_ROWS].shape[-1]
    if not 0 < size * width <= _MAX_NUMBERS or state[_ROWS].ndim != 2:
        raise ValueError(
            f'its token table has shape {size} x {width}; expected two dimensions and '
            f'at most {_MAX_NUMBERS} numbers'
        )
    rest = {k: v for k, v in state.items() if k not in (_ROWS, _IDS, _SIZE)}
    rows = state[_ROWS].float()
    generator = torch.Generator().manual_seed(_UNTRAINED_SEED)
    table = torch.randn(size, width, generator=generator)
    table *= _UNTRAINED_STD
    table[state[_IDS].long()] = rows
    return {**rest, _TABLE: table}
