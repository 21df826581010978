from .augmenting_data_preprocessor import AugmentingDataPreProcessor
from .causal_augmentation import CausalAugmentation

__all__ = ['AugmentingDataPreProcessor', 'CausalAugmentation']
