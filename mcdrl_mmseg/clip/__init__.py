"""All that touches open_clip, which is imported on first use and not before."""

from .dense import DENSE_MODES, check_dense_mode
from .output_stride import set_output_stride
from .text import embed_texts
from .tower_features import TowerFeatures, resnet_features, vit_features
from .towers import CLIPSpec, build_image_tower, load_tower_weights
from .weights import CLIPWeightsError

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
