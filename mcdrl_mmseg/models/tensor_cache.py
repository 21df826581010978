"""A cached result that is computed anew when a tensor it depends on changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter, is_
from typing import Any

import torch
from torch import Tensor, nn

_writes = attrgetter('_version')


class TensorCache:
    """Compute once, and again when an input tensor is replaced or written to.

    PyTorch counts the writes to every tensor. Loaded weights, an optimiser's step
    and a newly filled buffer are therefore noticed. Writes through ``.data`` are not
    counted, as those of ``Module.to`` and MMEngine's EMA hook: the owner of the
    cache calls :meth:`clear` there.

    A copied or pickled model starts with an empty cache. Compiled and exported graphs
    bypass the cache, since they could not notice a change.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Drop the result."""
        self._inputs: tuple[Tensor, ...] = ()
        self._versions: tuple[int, ...] = ()
        self._result: Any = None

    def get(self, inputs: Sequence[Tensor], compute: Callable[[], Any]) -> Any:
        """The cached result, computed if need be.

        Args:
            inputs: All tensors that ``compute`` reads.
            compute: Computes the result; run in full precision and without gradient.
        """
        if torch.compiler.is_compiling():
            return self._compute(inputs[0], compute)
        try:
            versions = tuple(map(_writes, inputs))
        except RuntimeError:
            # Tensors created in inference mode do not count writes.
            return self._compute(inputs[0], compute)
        same = versions == self._versions and all(map(is_, inputs, self._inputs))
        if not same:
            self._result = self._compute(inputs[0], compute)
            self._inputs, self._versions = tuple(inputs), versions
        return self._result

    @staticmethod
    def _compute(first_input: Tensor, compute: Callable[[], Any]) -> Any:
        # One result serves passes with and without automatic mixed precision.
        with torch.no_grad(), torch.autocast(first_input.device.type, enabled=False):
            return compute()

    def __reduce__(self) -> tuple:
        return TensorCache, ()


class TensorPlaces:
    """Where modules keep their weights and statistics, to list these without a walk.

    Parameters and buffers that are replaced are found, and none of a module that takes
    the place of another: the owner of the list then makes a new one. A copied or
    pickled model starts without.

    Args:
        modules: Whose own floating-point tensors to list, and none of their children.
    """

    def __init__(self, modules: Iterable[nn.Module] = ()) -> None:
        self._places = [
            (owner, name)
            for module in modules
            for owner in (module._parameters, module._buffers)
            for name, tensor in owner.items()
            if tensor is not None and tensor.is_floating_point()
        ]

    def __bool__(self) -> bool:
        return bool(self._places)

    def tensors(self) -> list[Tensor]:
        """What is there now."""
        return [owner[name] for owner, name in self._places]

    def __reduce__(self) -> tuple:
        return TensorPlaces, ()
