# Fixtures of tests/fixtures that this folder uses.
from small_model import (
    checkpoint_content,
    new_model,
    picture,
    tiny_checkpoint,
    tiny_config,
)

__all__ = [
    'checkpoint_content',
    'new_model',
    'picture',
    'tiny_checkpoint',
    'tiny_config',
]
