"""Programs that start from a process which has imported everything already."""

from .client import ForkedProcess, ForkServer, ForkServerError, can_fork

__all__ = ['ForkServer', 'ForkServerError', 'ForkedProcess', 'can_fork']
