"""Building a module for its shapes alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

# What initialisers do to a weight in place.
_IN_PLACE = frozenset(
    (
        Tensor.add_,
        Tensor.clamp_,
        Tensor.erfinv_,
        Tensor.fill_,
        Tensor.mul_,
        Tensor.normal_,
        Tensor.uniform_,
        Tensor.zero_,
    )
)

# PyTorch hands these over whole, their weight by name.
_INITIALISERS = frozenset(
    (init.constant_, init.kaiming_uniform_, init.normal_, init.uniform_)
)


class _NothingDrawn(TorchFunctionMode):
    """Leaves out what would change values that are not there."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _IN_PLACE and args[0].is_meta:
            return args[0]
        if func in _INITIALISERS and kwargs and kwargs['tensor'].is_meta:
            return kwargs['tensor']
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def meta_build() -> Iterator[None]:
    """Build modules on ``meta``: shapes without weights, memory or drawing.

    Under torch's ``meta`` device alone, timm's truncated normal law takes seconds a
    tower: its clamp is worked out in Python there.
    """
    with torch.device('meta'), _NothingDrawn():
        yield
