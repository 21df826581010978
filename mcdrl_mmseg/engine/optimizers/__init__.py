from .bfloat16_optim_wrapper import BFloat16OptimWrapper
from .zero_optimizer import ZeroCheckpointHook, ZeroOptimizer

__all__ = ['BFloat16OptimWrapper', 'ZeroCheckpointHook', 'ZeroOptimizer']
