"""Parts of a training run: hooks, optimizers, the runner, checkpoint files."""

from . import hooks, optimizers, runner

__all__ = ['hooks', 'optimizers', 'runner']
