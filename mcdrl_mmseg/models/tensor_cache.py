"""Cached results that are recomputed when a tensor they depend on changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, is_
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

_writes = attrgetter('_version')
# Module types that compute something else in training than in evaluation.
_OTHER_IN_TRAINING = (_NormBase, _DropoutNd)


class TensorCache:
    """Compute once, and again when an input tensor is replaced or written to.

    PyTorch counts the in-place writes to every tensor, so that loaded weights, an
    optimizer's step and a newly filled buffer are noticed. New memory behind a tensor
    is noticed as well, as after ``tensor.data = ...`` and ``vector_to_parameters``.
    Writes through ``.data`` are not counted, as those of MMEngine's EMA hook; after
    them the owner of the cache must call :meth:`clear`.

    A copied or pickled model starts with an empty cache. Compiled and exported graphs
    bypass the cache, since they could not notice a change. It is safe to share between
    threads.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Drop the result."""
        # Inputs, their versions and addresses, and the result. One tuple, so that
        # threads replace all three at once.
        self._kept: tuple[tuple[Tensor, ...], tuple[int, ...], Any] | None = None

    def get(self, inputs: Sequence[Tensor], compute: Callable[[], Any]) -> Any:
        """The cached result, computed if need be.

        Args:
            inputs: All tensors that ``compute`` reads.
            compute: Computes the result; run in full precision and without gradient.
        """
        if torch.compiler.is_compiling():
            return self._compute(inputs[0], compute)
        try:
            contents = (*map(_writes, inputs), *map(Tensor.data_ptr, inputs))
        except RuntimeError:
            # Tensors created in inference mode do not count writes.
            return self._compute(inputs[0], compute)
        kept = self._kept
        if kept is not None:
            same_inputs = len(kept[0]) == len(inputs) and all(map(is_, inputs, kept[0]))
            if same_inputs and kept[1] == contents:
                return kept[2]
        # Inference tensors could not be used by a later pass with gradients.
        with torch.inference_mode(False):
            result = self._compute(inputs[0], compute)
        self._kept = tuple(inputs), contents, result
        return result

    @staticmethod
    def _compute(first_input: Tensor, compute: Callable[[], Any]) -> Any:
        # One result serves passes with and without automatic mixed precision.
        with torch.no_grad(), torch.autocast(first_input.device.type, enabled=False):
            return compute()

    def __reduce__(self) -> tuple:
        return TensorCache, ()


class TensorPlaces:
    """Where modules keep their weights and statistics, to list them without a walk.

    A replaced tensor or module is noticed at any depth. A copied or pickled model
    starts with an empty list.
    """

    def __init__(self) -> None:
        self._roots: tuple[nn.Module, ...] = ()
        self._of_training: list[nn.Module] = []
        self._children: list[tuple[dict, tuple]] = []
        self._owners: list[dict] = []
        self._count = 0
        self._places: list[tuple[dict, str]] = []
        self._hooks: list[dict] = []

    def tensors(self, *roots: nn.Module) -> list[Tensor]:
        """All floating-point parameters and buffers of modules and their submodules.

        Args:
            *roots: The modules.
        """
        if not self._are_of(roots):
            self._look(roots)
        return [owner[name] for owner, name in self._places]

    def have_hooks(self) -> bool:
        """Whether the modules last listed have forward hooks."""
        return any(self._hooks)

    def in_training(self) -> bool:
        """Whether a norm or dropout last listed is in training mode."""
        return any(module.training for module in self._of_training)

    def _are_of(self, roots: tuple[nn.Module, ...]) -> bool:
        return (
            roots == self._roots
            and all(tuple(now.values()) == then for now, then in self._children)
            and sum(map(len, self._owners)) == self._count
        )

    def _look(self, roots: tuple[nn.Module, ...]) -> None:
        modules = [module for root in roots for module in root.modules()]
        self._of_training = [m for m in modules if isinstance(m, _OTHER_IN_TRAINING)]
        self._children = [(m._modules, tuple(m._modules.values())) for m in modules]
        self._owners = [owner for m in modules for owner in (m._parameters, m._buffers)]
        self._count = sum(map(len, self._owners))
        self._places = [
            (owner, name)
            for owner in self._owners
            for name, tensor in owner.items()
            if tensor is not None and tensor.is_floating_point()
        ]
        self._hooks = [
            hooks for m in modules for hooks in (m._forward_pre_hooks, m._forward_hooks)
        ]
        # Set last: from here on other threads use the lists above.
        self._roots = roots

    def __reduce__(self) -> tuple:
        return TensorPlaces, ()


class ModuleCache:
    """Named results of inference that depend on the weights of modules."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Drop the results."""
        self._results: dict[str, TensorCache] = {}
        self._places = TensorPlaces()

    def get(
        self,
        name: str,
        compute: Callable[[], Any],
        modules: Sequence[nn.Module] = (),
        inputs: Sequence[Tensor] = (),
    ) -> Any:
        """A result, computed if need be.

        Args:
            name: Name of the result.
            compute: Computes it, see :meth:`TensorCache.get`.
            modules: The modules whose weights ``compute`` reads.
            inputs: Further tensors that it reads.
        """
        tensors = [*inputs, *(self._places.tensors(*modules) if modules else ())]
        if torch.compiler.is_compiling():
            return TensorCache().get(tensors, compute)
        return self._results.setdefault(name, TensorCache()).get(tensors, compute)

    def may_replace(self, *modules: nn.Module) -> bool:
        """Whether a cached result may replace a forward pass of the modules.

        Not if they have hooks, which would not be called (pruning computes weights in
        one), and not if norms or dropout are in training mode.
        """
        return not (self.in_training(*modules) or self._places.have_hooks())

    def in_training(self, *modules: nn.Module) -> bool:
        """Whether a norm or dropout within the modules is in training mode."""
        self._places.tensors(*modules)
        return self._places.in_training()

    def __reduce__(self) -> tuple:
        return ModuleCache, ()


class CachingModule(nn.Module):
    """A module that clears its cache when weights may change without counted writes.

    Moving and casting change weights so, and MMEngine's EMA hook before a validation.
    """

    _cache: ModuleCache

    def train(self, mode: bool = True) -> Any:
        """Set the mode and clear the cache."""
        self._cache.clear()
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        self._cache.clear()
        return super()._apply(*args, **kwargs)
