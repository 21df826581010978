import pytest

# Fixtures of tests/fixtures that this folder uses.
from small_model import (
    checkpoint_content,
    new_model,
    picture,
    tiny_checkpoint,
    tiny_config,
)

from mcdrl_lab.trust import within_sites

__all__ = [
    'checkpoint_content',
    'new_model',
    'picture',
    'tiny_checkpoint',
    'tiny_config',
]


@pytest.fixture
def few_draws(monkeypatch):
    """Few bootstrap draws, for tests that do not check the ends of intervals."""
    monkeypatch.setattr(within_sites, 'RESAMPLES', 20)
