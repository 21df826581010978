from .causal_intervention_head import CausalInterventionHead
from .folded_segformer_head import FoldedSegformerHead
from .prompt_tuning_head import PromptTuningHead

__all__ = [
    'CausalInterventionHead',
    'FoldedSegformerHead',
    'PromptTuningHead',
]
