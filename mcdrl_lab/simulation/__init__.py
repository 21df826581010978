"""EndoSim: a structural causal model that draws endoscopic images.

Its variables are in :mod:`.scene`, how often they occur in :mod:`.sites`; see
docs/endosim.md.
"""

from .drawing import draw
from .hospitals import SITES, Conditions
from .sampling import sample_scene
from .scene import (
    CONFOUNDER_PROMPTS,
    CONFOUNDERS,
    LESION_CLASSES,
    MASK_VALUES,
    Anatomy,
    Confounders,
    Lesion,
    Placement,
    Scene,
    SceneError,
    do,
)
from .simulated_sites import Benchmark, write_benchmark
from .truth import true_confounders

__all__ = [
    'CONFOUNDERS',
    'CONFOUNDER_PROMPTS',
    'LESION_CLASSES',
    'MASK_VALUES',
    'SITES',
    'Anatomy',
    'Benchmark',
    'Conditions',
    'Confounders',
    'Lesion',
    'Placement',
    'Scene',
    'SceneError',
    'do',
    'draw',
    'sample_scene',
    'true_confounders',
    'write_benchmark',
]
