"""Work-arounds for mismatched stacks; each does nothing where it is not needed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch

# The registrations must live as long as the process: a collected Library
# takes its operators with it.
_LIBRARIES: list[torch.library.Library] = []

_NMS_SCHEMAS = {
    'nms': 'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms': 'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
}


def _extension_loads(package_dir: Path) -> bool:
    """Whether torchvision's compiled operators can be loaded by this torch."""
    extensions = [*package_dir.glob('_C*.so'), *package_dir.glob('_C*.pyd')]
    try:
        for extension in extensions:
            torch.ops.load_library(str(extension))
    except OSError:
        return False
    return bool(extensions)


def declare_torchvision_operators() -> tuple[str, ...]:
    """Make torchvision importable beside a torch of another build.

    A torchvision wheel built for CUDA cannot load its extension beside a CPU
    torch and then fails at import with "operator torchvision::nms does not
    exist", because it attaches a meta kernel to an operator nobody declared.
    Declaring the two schemas is all that the import needs. It must happen before
    torchvision (and hence timm, open_clip and ``mmseg.models``) is imported.

    Returns:
        Names of the operators declared by this call; empty where torchvision is
        absent, already imported, or sound.
    """
    if 'torchvision' in sys.modules:
        return ()
    spec = importlib.util.find_spec('torchvision')
    if spec is None or spec.origin is None:
        return ()
    if _extension_loads(Path(spec.origin).parent):
        return ()
    declared = []
    for name, schema in _NMS_SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library = torch.library.Library('torchvision', 'FRAGMENT')
            library.define(schema)
            _LIBRARIES.append(library)
            declared.append(f'torchvision::{name}')
    return tuple(declared)


def allow_mmengine_checkpoints() -> tuple[str, ...]:
    """Let ``torch.load(weights_only=True)`` read MMEngine's own checkpoints.

    Since torch 2.6 loading is safe by default, and the message hub that MMEngine
    0.10.7 stores beside the weights holds classes that the safe loader does not
    know ("HistoryBuffer ... was not an allowed global"). They hold numbers only,
    so they are allow-listed; nothing else is. Newer MMEngine does this itself.

    Returns:
        Names of the classes allow-listed by this call.
    """
    serialization = torch.serialization
    if not hasattr(serialization, 'add_safe_globals'):
        return ()
    import numpy as np
    from mmengine.logging import HistoryBuffer

    numpy_core = np._core if hasattr(np, '_core') else np.core
    wanted = [
        HistoryBuffer,
        numpy_core.multiarray._reconstruct,
        numpy_core.multiarray.scalar,
        np.ndarray,
        np.dtype,
        *{type(np.dtype(t)) for t in (np.float64, np.float32, np.int64, np.bool_)},
    ]
    known = serialization.get_safe_globals()
    missing = [item for item in wanted if item not in known]
    serialization.add_safe_globals(missing)
    return tuple(item.__name__ for item in missing)
