from .causal_intervention import APPROXIMATIONS, CausalIntervention
from .confounder_span import remove_confounder_span

__all__ = ['APPROXIMATIONS', 'CausalIntervention', 'remove_confounder_span']
