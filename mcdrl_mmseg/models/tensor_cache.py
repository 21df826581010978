"""A cached result that is computed anew when a tensor it depends on changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


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
        # Tensors created in inference mode do not count writes.
        if torch.compiler.is_compiling() or any(i.is_inference() for i in inputs):
            return self._compute(inputs[0], compute)
        versions = tuple(tensor._version for tensor in inputs)
        same = len(inputs) == len(self._inputs) and all(
            new is old for new, old in zip(inputs, self._inputs)
        )
        if not same or versions != self._versions:
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
