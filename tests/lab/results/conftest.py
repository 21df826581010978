import pytest
import torch
from made_sites import draw, sites
from small_model import checkpoint_content, new_model, tiny_checkpoint, tiny_config


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
