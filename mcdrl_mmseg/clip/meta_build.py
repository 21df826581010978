"""Building a module for its shapes alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

# What is filled with numbers, as weights are, and what initialisers do to it in place.
_FILLED = frozenset(
    (torch.empty, torch.full, torch.ones, torch.rand, torch.randn, torch.zeros)
)
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


class _WithoutValues(TorchFunctionMode):
    """Puts weights onto ``meta``, and leaves out what would change their values.

    ``torch.device('meta')`` would take computed values too, as the drop rates of a
    backbone's blocks, which constructors read. And timm's truncated normal law takes
    seconds a tower there: its clamp is worked out in Python.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _FILLED and kwargs.get('device') is None:
            kwargs['device'] = 'meta'
        if func in _IN_PLACE and args[0].is_meta:
            return args[0]
        if func in _INITIALISERS and kwargs and kwargs['tensor'].is_meta:
            return kwargs['tensor']
        return func(*args, **kwargs)


@contextmanager
def meta_build() -> Iterator[None]:
    """Build modules for their shapes: their weights take neither memory nor time."""
    with (
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(),
        _WithoutValues(),
    ):
        warnings.simplefilter('ignore')
        yield
