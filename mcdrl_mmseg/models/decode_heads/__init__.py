from .causal_intervention_head import CausalInterventionHead

__all__ = ['CausalInterventionHead']
