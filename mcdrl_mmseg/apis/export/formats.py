"""Writing a model in one of the formats."""

from __future__ import annotations

import importlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode

from .deployable import DeployableSegmentor, ExportError
from .metadata import EXTRA_FILE, to_strings

_OPSET = 18
# PyTorch specialises on the sizes 0 and 1.
_BATCH = 2
_PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')


def require(*packages: str) -> None:
    """Raise an ExportError with the install command if a package is missing."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ExportError(
                f'{package} is needed but cannot be imported ({error}). Install it '
                "with: pip install 'mcdrl-mmseg[export]' (or: pip install "
                f'{" ".join(_PACKAGES)})'
            ) from None


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Context without PyTorch's fused encoder layers, which other runtimes lack."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    remarks = logging.getLogger('onnxscript.optimizer')
    level = remarks.level
    # Hide remarks about parts that the optimizer cannot precompute.
    remarks.setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # Warnings of the exporters about their own code.
            warnings.simplefilter('ignore')
            yield
    finally:
        remarks.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(before)


def _example(size: tuple[int, int], batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (batch, 3, *size)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def export_program(
    module: DeployableSegmentor,
    size: tuple[int, int],
    multiple: int | None,
    batch: int | None = None,
) -> ExportedProgram:
    """Trace a model.

    Args:
        module: The model.
        size: Height and width in pixels.
        multiple: Leave the size open to multiples of this; None fixes it.
        batch: Images in a batch; None leaves their number open.

    Returns:
        The program.

    Raises:
        ExportError: Some part of the model does not work at a variable size.
    """
    shapes = {0: Dim('batch')} if batch is None else {}
    if multiple is not None:
        # Height and width differ, so that the exporter does not take them as equal.
        size = (size[0], size[1] + multiple)
        shapes[2] = multiple * Dim('rows', min=2)
        shapes[3] = multiple * Dim('columns', min=2)
    # With variable sizes a lookup in this cache takes longer than running the operator
    # again: with the cache a trace takes 50 % longer.
    cache = torch._dynamo.config.patch(fake_tensor_cache_enabled=multiple is None)
    with _plain_attention(), cache:
        try:
            return torch.export.export(
                module,
                (_example(size, batch or _BATCH),),
                dynamic_shapes=dict(images=shapes),
            )
        except (torch._dynamo.exc.UserError, RuntimeError, TypeError) as error:
            raise _untraceable(error, multiple) from error


def _untraceable(error: Exception, multiple: int | None) -> ExportError:
    first_line = str(error).strip().partition('\n')[0]
    return ExportError(
        f'PyTorch could not trace the model ({first_line}).'
        + (' Try a fixed size: leave out --dynamic.' if multiple else '')
    )


def save_torch_export(
    module: DeployableSegmentor,
    size: tuple[int, int],
    multiple: int | None,
    description: dict[str, Any],
    path: Path,
) -> None:
    """Write a ``.pt2`` file for ``torch.export.load``; see :data:`FORMATS`."""
    program = export_program(module, size, multiple)
    extra = {EXTRA_FILE: json.dumps(description)}
    # In memory first: torch's own writer kills the process on a full disk.
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files=extra)
    path.write_bytes(buffer.getvalue())


class _OneByOne(nn.Module):
    """Runs images one by one, as a traced model has a fixed batch size."""

    def __init__(self, traced: torch.jit.ScriptModule, size: tuple[int, int]) -> None:
        super().__init__()
        self.traced = traced
        self.height, self.width = size

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2], images.shape[3]
        if height != self.height or width != self.width:
            raise ValueError(f'images must be {self.height} x {self.width} pixels')
        if images.dtype != torch.uint8:
            raise ValueError('images must be uint8, 0 to 255')
        return torch.cat([self.traced(image) for image in images.split(1)])


def save_torchscript(
    module: DeployableSegmentor,
    size: tuple[int, int],
    multiple: int | None,
    description: dict[str, Any],
    path: Path,
) -> None:
    """Write a file for ``torch.jit.load``; see :data:`FORMATS`.

    Raises:
        ExportError: A variable size, which a trace cannot have.
    """
    if multiple is not None:
        raise ExportError(
            'TorchScript is traced for one size. Leave out --dynamic, or use '
            '--format torch-export or onnx.'
        )
    program = export_program(module, size, None, batch=1)
    with _plain_attention():
        # Traces the exported program: its sizes are constants, not tensors.
        traced = torch.jit.trace(program.module(), _example(size, 1), check_trace=False)
        scripted = torch.jit.script(_OneByOne(traced, size))
        # Make the weights constants.
        scripted = torch.jit.freeze(scripted.eval())
    # In memory first: torch's own writer kills the process on a full disk.
    buffer = io.BytesIO()
    extra = {EXTRA_FILE: json.dumps(description)}
    torch.jit.save(scripted, buffer, _extra_files=extra)
    path.write_bytes(buffer.getvalue())


def save_onnx(
    module: DeployableSegmentor,
    size: tuple[int, int],
    multiple: int | None,
    description: dict[str, Any],
    path: Path,
) -> None:
    """Write an ``.onnx`` file; see :data:`FORMATS`.

    Raises:
        ExportError: A package is missing, or ONNX cannot express a part of the model.
    """
    require(*_PACKAGES)
    import onnx

    if multiple is not None:
        _refuse_grids(module, size)
    program = export_program(module, size, multiple)
    with _plain_attention():
        try:
            exported = torch.onnx.export(
                program,
                input_names=['images'],
                output_names=['logits'],
                opset_version=_OPSET,
                dynamo=True,
                custom_translation_table={torch.ops.aten.sort.stable: _stable_sort()},
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise _untraceable(error, multiple) from error
    model = exported.model_proto
    _name_sides(model, variable=multiple is not None)
    onnx.helper.set_model_props(model, to_strings(description))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _refuse_grids(module: DeployableSegmentor, size: tuple[int, int]) -> None:
    """Refuse adaptive pooling to a grid, for which ONNX has no operator.

    The exporter would write the windows of the traced size, and logits would be wrong
    at another size. The check runs the model once, which takes a tenth of a trace's
    time.

    Raises:
        ExportError: There is such pooling; the message names the module.
    """
    names = {part: name for name, part in module.named_modules()}
    running: list[nn.Module] = []

    def enter(part: nn.Module, _: Any) -> None:
        running.append(part)

    def leave(*_: Any) -> None:
        running.pop()

    def refuse(sides: list[int]) -> None:
        place = names[running[-1]].removeprefix('model.')
        raise ExportError(
            f'{place} pools to a grid of {" x ".join(map(str, sides))}, which ONNX '
            'supports only at a fixed size. Leave out --dynamic, or use --format '
            'torch-export.'
        )

    with (
        _plain_attention(),
        register_module_forward_pre_hook(enter),
        register_module_forward_hook(leave),
        _PoolingToGrids(refuse),
    ):
        module(_example(size, 1))


class _PoolingToGrids(TorchDispatchMode):
    """Reports adaptive pooling to a grid other than 1 x 1, with the grid's sides."""

    def __init__(self, found: Callable[[list[int]], None]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if 'adaptive' in func.__name__ and 'pool' in func.__name__:
            sides = list(args[1])
            if sides != [1] * len(sides):
                self.found(sides)
        return func(*args, **(kwargs or {}))


def _name_sides(model: Any, variable: bool) -> None:
    """Give the variable dimensions of input and output clear names."""
    for value in (*model.graph.input, *model.graph.output):
        sides = value.type.tensor_type.shape.dim
        sides[0].dim_param = 'batch'
        if variable:
            sides[2].dim_param, sides[3].dim_param = 'height', 'width'


def _stable_sort() -> Callable:
    """``aten.sort.stable`` as ONNX's TopK, which also puts the first of a tie first."""
    from onnxscript import opset18 as op

    # ONNX Script reads the annotations, so that types it does not know are left out.
    def sort(  # type: ignore[no-untyped-def]
        self: Any, stable: Any = None, dim: int = -1, descending: bool = False
    ):
        count = op.Shape(self, start=dim, end=dim + 1)
        return op.TopK(self, count, axis=dim, largest=int(descending), sorted=1)

    return sort


FORMATS: dict[str, Callable[..., None]] = {
    'onnx': save_onnx,
    'torchscript': save_torchscript,
    'torch-export': save_torch_export,
}
"""Writers, called with the model, its size, the multiple or None, the description and
the path. The batch size of all files is variable."""
ENDINGS = {'onnx': '.onnx', 'torchscript': '.pt', 'torch-export': '.pt2'}


def size_multiple(model: nn.Module) -> int:
    """Number that heights and widths must be multiples of in a file of variable size.

    Args:
        model: A segmentor.
    """
    backbone = model.backbone
    tower = getattr(backbone, 'tower', None)
    patch = getattr(tower, 'patch_size', None)
    stride = int(patch[0]) if patch is not None else 32
    up, down = getattr(backbone, 'input_ratio', (1, 1))
    # The smallest size whose scaled version is a whole number of strides.
    return Fraction(stride * down, up).numerator
