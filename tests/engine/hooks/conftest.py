# Fixtures of tests/fixtures that this folder uses.
from small_model import new_model, tiny_config

__all__ = ['new_model', 'tiny_config']
