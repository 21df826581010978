"""A result that is kept for as long as the tensors it was computed from stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class KeptResult:
    """Compute once, and again as soon as a source is another or was written to.

    Every tensor counts the writes to it, so that loading weights, an optimiser's step
    or a newly filled buffer are noticed by themselves. Writes through ``.data``, as
    ``Module.to`` and MMEngine's EMA hook do them, are not counted: whoever holds a
    result calls :meth:`drop` where these happen.

    A copied or pickled model begins without the result. In a compiled or exported
    graph nothing is kept, as a change would not be noticed: it holds the computation.
    """

    def __init__(self) -> None:
        self.drop()

    def drop(self) -> None:
        """Forget the result."""
        self._sources: tuple[Tensor, ...] = ()
        self._versions: tuple[int, ...] = ()
        self._result: Any = None

    def get(self, sources: Sequence[Tensor], compute: Callable[[], Any]) -> Any:
        """The result, computed if need be.

        Args:
            sources: All tensors that ``compute`` reads.
            compute: Computes the result; run in full precision and without gradient.
        """
        # Tensors born in inference mode count no writes.
        if torch.compiler.is_compiling() or any(s.is_inference() for s in sources):
            return self._run(sources[0], compute)
        versions = tuple(source._version for source in sources)
        same = len(sources) == len(self._sources) and all(
            one is other for one, other in zip(sources, self._sources)
        )
        if not same or versions != self._versions:
            self._result = self._run(sources[0], compute)
            self._sources, self._versions = tuple(sources), versions
        return self._result

    @staticmethod
    def _run(source: Tensor, compute: Callable[[], Any]) -> Any:
        # Kept over passes with and without automatic mixed precision.
        with torch.no_grad(), torch.autocast(source.device.type, enabled=False):
            return compute()

    def __reduce__(self) -> tuple:
        return KeptResult, ()
