"""All that touches open_clip, which is imported on first use and not before.

So are the modules here: registering the components needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dense import DENSE_MODES, check_dense_mode
    from .output_stride import set_output_stride
    from .text import embed_texts
    from .tower_features import TowerFeatures, resnet_features, vit_features
    from .towers import CLIPSpec, build_image_tower, load_tower_weights
    from .weights import CLIPWeightsError

_MODULES = {
    'DENSE_MODES': 'dense',
    'CLIPSpec': 'towers',
    'CLIPWeightsError': 'weights',
    'TowerFeatures': 'tower_features',
    'build_image_tower': 'towers',
    'check_dense_mode': 'dense',
    'embed_texts': 'text',
    'load_tower_weights': 'towers',
    'resnet_features': 'tower_features',
    'set_output_stride': 'output_stride',
    'vit_features': 'tower_features',
}

__all__ = [
    'DENSE_MODES',
    'CLIPSpec',
    'CLIPWeightsError',
    'TowerFeatures',
    'build_image_tower',
    'check_dense_mode',
    'embed_texts',
    'load_tower_weights',
    'resnet_features',
    'set_output_stride',
    'vit_features',
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_MODULES[name]}'), name)
