"""What is wrong with a config, found before anything is built from it.

``components`` finds the parts; every other module is one rule on them.
"""

from .check import check_config, find_problems
from .problem import ConfigCheckError, ConfigProblem

__all__ = ['ConfigCheckError', 'ConfigProblem', 'check_config', 'find_problems']
