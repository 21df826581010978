import pytest
import torch


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def joint_tokens() -> torch.Tensor:
    """Tokens in the dictionary's own space."""
    return torch.randn(2, 5, 4, dtype=torch.float64)


@pytest.fixture
def entries() -> torch.Tensor:
    return torch.randn(3, 4, dtype=torch.float64)
