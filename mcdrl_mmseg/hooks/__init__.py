from .confounder_dictionary_hook import ConfounderDictionaryHook
from .dataset_check_hook import DatasetCheckHook, DatasetError
from .epoch_seed_hook import EpochSeedHook
from .intervention_warmup_hook import InterventionWarmupHook
from .mcdrl_visualization_hook import MCDRLVisualizationHook

__all__ = [
    'ConfounderDictionaryHook',
    'DatasetCheckHook',
    'DatasetError',
    'EpochSeedHook',
    'InterventionWarmupHook',
    'MCDRLVisualizationHook',
]
