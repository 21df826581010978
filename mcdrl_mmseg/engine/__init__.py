"""What runs a training: hooks, optimizers, the runner, checkpoint files."""

from . import hooks, optimizers, runner

__all__ = ['hooks', 'optimizers', 'runner']
