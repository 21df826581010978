# Sites without faults, into which the tests write some.
from made_sites import draw, sites

__all__ = ['draw', 'sites']
