from .causal_intervention_head import CausalInterventionHead
from .prompt_tuning_head import PromptTuningHead

__all__ = ['CausalInterventionHead', 'PromptTuningHead']
