"""MCDRL for MMSegmentation; importing the package registers its components.

Importing changes nothing else. Only :mod:`mcdrl_mmseg.apis` and the tools make
MMEngine's loading of checkpoints stricter.
"""

import gc
from typing import TYPE_CHECKING, Any

from .requirements_check import check_requirements
from .version import __version__

check_requirements()

# Importing PyTorch and MMSegmentation creates a million permanent objects. Python would
# run its garbage collector over them two thousand times.
_gc_was_enabled = gc.isenabled()
gc.disable()
try:
    from .compat import declare_torchvision_operators, leave_out_multimodal_models

    # torchvision must be importable before anything below imports mmseg.models.
    declare_torchvision_operators()
    leave_out_multimodal_models()

    from .library_warnings import quiet_if_asked

    with quiet_if_asked():
        from . import datasets, engine, evaluation, models
finally:
    if _gc_was_enabled:
        gc.enable()

if TYPE_CHECKING:
    from .config_files import config_path
    from .engine.insertion import mcdrl_over

__all__ = [
    '__version__',
    'config_path',
    'datasets',
    'engine',
    'evaluation',
    'mcdrl_over',
    'models',
]


def __getattr__(name: str) -> Any:
    # Functions that configs may call; imported late, as registering needs neither.
    if name == 'config_path':
        from .config_files import config_path

        return config_path
    if name == 'mcdrl_over':
        from .engine.insertion import mcdrl_over

        return mcdrl_over
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
