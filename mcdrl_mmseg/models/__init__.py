from .backbones import CLIPGuidedBackbone, CLIPVisionBackbone
from .causal_intervention import CausalIntervention
from .confounder_dictionary import ConfounderDictionary, DictionaryError
from .data_preprocessors import AugmentingDataPreProcessor, CausalAugmentation
from .decode_heads import (
    CausalInterventionHead,
    FoldedSegformerHead,
    PromptTuningHead,
)
from .losses import CausalAlignmentLoss, CLIPContrastiveLoss, VectorizedTverskyLoss
from .region_selector import CLIPRegionSelector
from .test_time_augmentation import SegProbabilityTTAModel

__all__ = [
    'AugmentingDataPreProcessor',
    'CLIPContrastiveLoss',
    'CLIPGuidedBackbone',
    'CLIPRegionSelector',
    'CLIPVisionBackbone',
    'CausalAlignmentLoss',
    'CausalAugmentation',
    'CausalIntervention',
    'CausalInterventionHead',
    'ConfounderDictionary',
    'DictionaryError',
    'FoldedSegformerHead',
    'PromptTuningHead',
    'SegProbabilityTTAModel',
    'VectorizedTverskyLoss',
]
