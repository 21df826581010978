from .bfloat16_optim_wrapper import BFloat16OptimWrapper
from .zero_checkpoint_hook import ZeroCheckpointHook
from .zero_optimizer import ZeroOptimizer

__all__ = ['BFloat16OptimWrapper', 'ZeroCheckpointHook', 'ZeroOptimizer']
