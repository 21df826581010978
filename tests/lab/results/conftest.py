from collections.abc import Iterator

import pytest
import torch
from made_sites import draw, sites
from small_model import checkpoint_content, new_model, tiny_checkpoint, tiny_config

from mcdrl_lab.results import statistics


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope='module', autouse=True)
def _weights_are_forgotten() -> Iterator[None]:
    """Drops the resampling weights that tables share: 200 MB for committed records."""
    yield
    statistics._kept_weights.cache_clear()
