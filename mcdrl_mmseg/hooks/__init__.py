from .confounder_dictionary_hook import ConfounderDictionaryHook
from .intervention_warmup_hook import InterventionWarmupHook

__all__ = ['ConfounderDictionaryHook', 'InterventionWarmupHook']
