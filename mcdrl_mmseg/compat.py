"""Work-arounds for mismatched packages; each does nothing if it is not needed."""

from __future__ import annotations

import codecs
import importlib.util
import pickle
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

# Keeps the registrations alive: when a Library is garbage-collected, its operators are
# removed.
_LIBRARIES: list[torch.library.Library] = []

_TRANSFORMERS_5 = 5

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
        Names of the operators declared by this call; empty if torchvision is absent,
        already imported, or works.
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


def _history_method(owner: type, name: str) -> Callable:
    """A ``getattr`` restricted to the one use that checkpoints have for it.

    Raises:
        UnpicklingError: Not a public method of ``HistoryBuffer``.
    """
    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(
            f'a checkpoint must not access {name!r} of {owner!r}.'
        )
    return getattr(owner, name)


def mmengine_globals() -> dict[str, object]:
    """Globals in MMEngine's own checkpoints besides tensors, by their name in the file.

    They only hold numbers: histories of logged values and NumPy arrays. A history also
    names its statistics methods through ``getattr``; a restricted stand-in replaces it.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer

    numpy_core = np._core if hasattr(np, '_core') else np.core
    # NumPy pickles bytes through codecs.encode, which torch allows since 2.6.
    wanted = [HistoryBuffer, np.ndarray, np.dtype, slice, codecs.encode]
    for number in np.typecodes['AllInteger'] + np.typecodes['AllFloat'] + '?':
        wanted.append(type(np.dtype(number)))
    named = {f'{item.__module__}.{item.__qualname__}': item for item in wanted}
    named['builtins.getattr'] = _history_method
    for function in (numpy_core.multiarray._reconstruct, numpy_core.multiarray.scalar):
        # A file may be written with NumPy 1 and read with NumPy 2.
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
            named[f'{module}.{function.__name__}'] = function
    return named


def allow_mmengine_checkpoints() -> tuple[str, ...]:
    """Let ``torch.load(weights_only=True)`` read MMEngine's own checkpoints.

    Since torch 2.6 loading is safe by default. The message hub that MMEngine 0.10.7
    stores beside the weights holds classes that the safe loader refuses
    ("HistoryBuffer ... was not an allowed global"). Only these are allow-listed.
    Newer versions of MMEngine do this themselves.

    Returns:
        Names of the classes and functions allow-listed by this call.
    """
    if torch.__version__ < (2, 6):
        return ()
    wanted = {name: (item, name) for name, item in mmengine_globals().items()}
    known = torch.serialization.get_safe_globals()
    missing = {name: item for name, item in wanted.items() if item not in known}
    torch.serialization.add_safe_globals(list(missing.values()))
    return tuple(missing)


def leave_out_multimodal_models() -> bool:
    """Make mmpretrain importable beside transformers 5 and pycocotools.

    If both are installed, mmpretrain (1.2 and its maintained continuation) imports its
    multimodal models, which need names that transformers 5 no longer has. The import of
    ``mmpretrain.models``, and with it of every backbone, fails with a TypeError.
    Therefore mmpretrain's module that checks for these packages is imported here, and
    its flag switched off.

    Returns:
        Whether they were left out; False if mmpretrain or transformers is absent or
        older, or mmpretrain is already imported.
    """
    name = 'mmpretrain.utils.dependency'
    if 'mmpretrain' in sys.modules or not _transformers_is_new():
        return False
    package = importlib.util.find_spec('mmpretrain')
    if package is None or package.origin is None:
        return False
    path = Path(package.origin).parent / 'utils' / 'dependency.py'
    if not path.is_file():
        return False
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.WITH_MULTIMODAL = False  # type: ignore[attr-defined]
    sys.modules[name] = module
    return True


def _transformers_is_new() -> bool:
    try:
        return int(version('transformers').partition('.')[0]) >= _TRANSFORMERS_5
    except (PackageNotFoundError, ValueError):
        return False
