"""Programs of the package, which the scripts in tools/ call.

Importing it makes MMEngine load checkpoints as data only, see
:func:`mcdrl_mmseg.safe_loading.guard_mmengine_loaders`.
"""

from mcdrl_mmseg.compat import allow_mmengine_checkpoints
from mcdrl_mmseg.safe_loading import guard_mmengine_loaders

from .checkpoint import CheckpointError, load_segmentor
from .checkpoint_config import CheckpointConfigError
from .explanation import Explanation, explain, predict_at_gate
from .image_pipeline import ImageError
from .inferencer import MCDRLInferencer, Prediction
from .run_setup import build_runner, enable_amp, load_config

__all__ = [
    'CheckpointConfigError',
    'CheckpointError',
    'Explanation',
    'ImageError',
    'MCDRLInferencer',
    'Prediction',
    'build_runner',
    'enable_amp',
    'explain',
    'load_config',
    'load_segmentor',
    'predict_at_gate',
]

allow_mmengine_checkpoints()
guard_mmengine_loaders()
