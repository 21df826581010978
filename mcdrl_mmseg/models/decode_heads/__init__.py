from .causal_intervention_cascade_head import CausalInterventionCascadeHead
from .causal_intervention_head import CausalInterventionHead
from .prompt_tuning_head import PromptTuningHead

__all__ = [
    'CausalInterventionCascadeHead',
    'CausalInterventionHead',
    'PromptTuningHead',
]
