"""MCDRL for MMSegmentation; importing the package registers its components.

It changes nothing else: what MMEngine loads and how, :mod:`mcdrl_mmseg.apis` and the
tools make stricter, for themselves.
"""

import gc
from typing import TYPE_CHECKING, Any

from .requirements_check import check_requirements
from .version import __version__

check_requirements()

# PyTorch and MMSegmentation are a million objects that stay; Python would search them
# for garbage two thousand times.
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
    # What a config may call while it is read; registering needs neither.
    if name == 'config_path':
        from .config_files import config_path

        return config_path
    if name == 'mcdrl_over':
        from .engine.insertion import mcdrl_over

        return mcdrl_over
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
