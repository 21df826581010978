"""open_clip's attention-pooled ViTs, as CoCa has them, against open_clip's own pass."""

import pytest
import torch
from open_clip.model import _build_vision_tower
from torch import nn
from torch.testing import assert_close

from mcdrl_mmseg.clip import vit_features
from mcdrl_mmseg.clip.dense import DENSE_MODES

SHAPE = dict(
    image_size=64, patch_size=16, width=64, layers=3, head_width=32, pool_type='tok'
)
POOLS = {
    'coca': dict(attentional_pool=True, attn_pooler_queries=8, attn_pooler_heads=4),
    'cascade': dict(attentional_pool='cascade', attn_pooler_heads=4),
    'parallel': dict(attentional_pool='parallel', attn_pooler_heads=4),
    'average': dict(pool_type='avg', final_ln_after_pool=True),
}


@pytest.fixture(params=POOLS)
def tower(request) -> nn.Module:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tower = _build_vision_tower(64, {**SHAPE, **POOLS[request.param]}).eval()
    with torch.no_grad():
        for parameter in tower.parameters():
            scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
            parameter.add_(torch.randn_like(parameter) * scale)
    return tower


@torch.no_grad()
@pytest.mark.parametrize('mode', DENSE_MODES)
def test_the_embedding_equals_that_of_open_clip_in_every_mode(tower, mode):
    inputs = torch.randn(2, 3, 64, 64)
    features = vit_features(tower, inputs, (), mode)
    assert features.dense_features.shape == (2, 64, 4, 4)
    assert_close(
        features.image_embedding[..., 0, 0], tower(inputs).flatten(1), rtol=0, atol=1e-5
    )


@torch.no_grad()
def test_the_dense_map_pools_each_position_by_itself(tower):
    inputs = torch.randn(1, 3, 64, 64)
    dense = vit_features(tower, inputs, (), 'vanilla').dense_features
    patches = tower.transformer(tower._embeds(inputs))[0, 1:]
    # An average leaves out the class token, so each position is given twice.
    pooled, _ = tower._pool(patches[:, None].expand(-1, 2, -1))
    assert_close(
        dense.flatten(2)[0].T, (pooled @ tower.proj).flatten(1), rtol=1e-4, atol=5e-5
    )
