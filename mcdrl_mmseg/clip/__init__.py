"""All code that uses open_clip, which is imported on first use.

The modules of this package are imported on first use as well: registering the
components needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dense import DENSE_MODES
    from .lora import LORA_TARGETS, add_lora, fit_lora_keys, merge_lora
    from .output_stride import set_output_stride
    from .text import embed_texts
    from .timm_tower import timm_features
    from .tower_features import TowerFeatures, resnet_features, vit_features
    from .tower_parts import parts_of_tower
    from .towers import CLIPSpec, build_image_tower, dense_modes, load_tower_weights
    from .weights import CLIPWeightsError

_MODULES = {
    'CLIPSpec': 'towers',
    'CLIPWeightsError': 'weights',
    'DENSE_MODES': 'dense',
    'LORA_TARGETS': 'lora',
    'TowerFeatures': 'tower_features',
    'add_lora': 'lora',
    'build_image_tower': 'towers',
    'dense_modes': 'towers',
    'embed_texts': 'text',
    'fit_lora_keys': 'lora',
    'load_tower_weights': 'towers',
    'merge_lora': 'lora',
    'parts_of_tower': 'tower_parts',
    'resnet_features': 'tower_features',
    'set_output_stride': 'output_stride',
    'timm_features': 'timm_tower',
    'vit_features': 'tower_features',
}

__all__ = [
    'DENSE_MODES',
    'LORA_TARGETS',
    'CLIPSpec',
    'CLIPWeightsError',
    'TowerFeatures',
    'add_lora',
    'build_image_tower',
    'dense_modes',
    'embed_texts',
    'fit_lora_keys',
    'load_tower_weights',
    'merge_lora',
    'parts_of_tower',
    'resnet_features',
    'set_output_stride',
    'timm_features',
    'vit_features',
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_MODULES[name]}'), name)
