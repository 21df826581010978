from .atomic_checkpoint_hook import AtomicCheckpointHook
from .config_check_hook import ConfigCheckHook
from .confounder_dictionary_hook import ConfounderDictionaryHook
from .dataset_check_hook import DatasetCheckHook, DatasetError
from .epoch_seed_hook import EpochSeedHook
from .intervention_warmup_hook import InterventionWarmupHook
from .mcdrl_visualization_hook import MCDRLVisualizationHook
from .non_finite_loss_hook import NonFiniteLossError, NonFiniteLossHook
from .site_reference_hook import SiteReferenceHook

__all__ = [
    'AtomicCheckpointHook',
    'ConfigCheckHook',
    'ConfounderDictionaryHook',
    'DatasetCheckHook',
    'DatasetError',
    'EpochSeedHook',
    'InterventionWarmupHook',
    'MCDRLVisualizationHook',
    'NonFiniteLossError',
    'NonFiniteLossHook',
    'SiteReferenceHook',
]
