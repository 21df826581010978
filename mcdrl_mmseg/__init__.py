"""MCDRL for MMSegmentation; importing the package registers its components.

It changes nothing else: what MMEngine loads and how, :mod:`mcdrl_mmseg.apis` and the
tools make stricter, for themselves.
"""

from .requirements_check import check_requirements
from .version import __version__

check_requirements()

from .compat import (  # noqa: E402
    declare_torchvision_operators,
    leave_out_multimodal_models,
)

# torchvision must be importable before anything below imports mmseg.models.
declare_torchvision_operators()
leave_out_multimodal_models()

from .foreign_noise import quiet_if_asked  # noqa: E402

with quiet_if_asked():
    from . import datasets, engine, evaluation, models
from .config_files import config_path  # noqa: E402
from .engine.insertion import mcdrl_over  # noqa: E402

__all__ = [
    '__version__',
    'config_path',
    'datasets',
    'engine',
    'evaluation',
    'mcdrl_over',
    'models',
]
