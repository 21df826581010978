"""Building a module only for its shapes, without memory for its weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

# Functions that create weights, and in-place functions that initialise them.
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

# PyTorch passes calls of these on as a whole, with the weight as a keyword argument.
_INITIALISERS = frozenset(
    (init.constant_, init.kaiming_uniform_, init.normal_, init.uniform_)
)


class _WithoutValues(TorchFunctionMode):
    """Creates weights on the ``meta`` device and skips their initialisation.

    ``torch.device('meta')`` would also move computed values there, such as the drop
    rates of a backbone's blocks, which constructors need to read. And timm's truncated
    normal initialisation takes seconds for a tower there: on ``meta`` its clamp runs in
    Python.
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
    """Build modules on ``meta``: their weights take neither memory nor time."""
    with (
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(),
        _WithoutValues(),
    ):
        warnings.simplefilter('ignore')
        yield
