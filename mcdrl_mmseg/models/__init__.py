from .backbones import CLIPGuidedBackbone, CLIPVisionBackbone
from .causal_intervention import CausalIntervention
from .confounder_dictionary import ConfounderDictionary, DictionaryError
from .decode_heads import CausalInterventionHead
from .losses import CausalAlignmentLoss, CLIPContrastiveLoss
from .region_selector import CLIPRegionSelector

__all__ = [
    'CLIPContrastiveLoss',
    'CLIPGuidedBackbone',
    'CLIPRegionSelector',
    'CLIPVisionBackbone',
    'CausalAlignmentLoss',
    'CausalIntervention',
    'CausalInterventionHead',
    'ConfounderDictionary',
    'DictionaryError',
]
