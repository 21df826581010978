"""Finds problems of a config before anything is trained, read or downloaded.

``config_components`` finds the components of a config, and ``model_building`` tries the
constructors of the model's parts. Every other module holds one kind of rule for
problems that building does not find: entries that do not exist, and components that do
not fit together.

The docstring of a rule names the problems that it reports.
"""

from .config_problem import ConfigCheckError, ConfigProblem
from .find_problems import check_config, find_problems

__all__ = ['ConfigCheckError', 'ConfigProblem', 'check_config', 'find_problems']
