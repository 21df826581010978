# Tests write their faults into sites without any.
from made_sites import draw, sites

__all__ = ['draw', 'sites']
