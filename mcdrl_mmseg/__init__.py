"""MCDRL for MMSegmentation; importing the package registers its components."""

from .requirements_check import check_requirements
from .version import __version__

check_requirements()

from .compat import (  # noqa: E402
    allow_mmengine_checkpoints,
    declare_torchvision_operators,
)
from .safe_loading import guard_mmengine_loaders  # noqa: E402

# torchvision must be importable before anything below imports mmseg.models.
declare_torchvision_operators()
allow_mmengine_checkpoints()
guard_mmengine_loaders()

from . import datasets, engine, evaluation, models  # noqa: E402
from .config_files import config_path  # noqa: E402
from .engine.runner import mcdrl_over  # noqa: E402

__all__ = [
    '__version__',
    'config_path',
    'datasets',
    'engine',
    'evaluation',
    'mcdrl_over',
    'models',
]
