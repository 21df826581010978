"""What is wrong with a config, found before anything is trained, read or fetched.

``config_components`` finds the parts of a config, ``model_building`` asks the
constructors of the model's parts, and every other module is one kind of rule on what
building cannot see: entries that do not exist, and parts that do not belong together.
"""

from .config_problem import ConfigCheckError, ConfigProblem
from .find_problems import check_config, find_problems

__all__ = ['ConfigCheckError', 'ConfigProblem', 'check_config', 'find_problems']
