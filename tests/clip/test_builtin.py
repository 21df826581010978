"""The packed weights of the built-in model."""

import torch

from mcdrl_mmseg.clip.builtin import pack, unpack

IDS = [3, 7]


def state():
    generator = torch.Generator().manual_seed(0)
    return {
        'token_embedding.weight': torch.randn(10, 4, generator=generator),
        'visual.conv1.weight': torch.randn(2, 3, generator=generator),
        'visual.bn1.num_batches_tracked': torch.tensor(5),
    }


def test_packed_weights_are_half_precision_and_hold_only_the_trained_token_rows():
    packed = pack(state(), IDS)
    assert packed['token_embedding.rows'].shape == (2, 4)
    assert packed['visual.conv1.weight'].dtype == torch.float16
    assert 'visual.bn1.num_batches_tracked' not in packed


def test_unpacking_restores_trained_rows_and_draws_the_same_other_rows_every_time():
    original = state()
    tables = [unpack(pack(original, IDS))['token_embedding.weight'] for _ in range(2)]
    assert tables[0].shape == (10, 4)
    torch.testing.assert_close(
        tables[0][IDS], original['token_embedding.weight'][IDS].half().float()
    )
    assert torch.equal(tables[0], tables[1])
    # Other tokens differ from each other and have the spread that open_clip draws.
    others = tables[0][[row for row in range(10) if row not in IDS]]
    assert torch.cdist(others, others).fill_diagonal_(1).min() > 0
    assert others.std() < 0.04


def test_state_dicts_that_are_not_packed_are_returned_unchanged():
    original = state()
    assert unpack(original) is original
