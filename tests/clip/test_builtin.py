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


def test_packed_weights_are_half_precision_and_hold_trained_rows_only():
    packed = pack(state(), IDS)
    assert packed['token_embedding.rows'].shape == (2, 4)
    assert packed['visual.conv1.weight'].dtype == torch.float16
    assert 'visual.bn1.num_batches_tracked' not in packed


def test_unpacking_gives_trained_rows_back_and_the_same_others_every_time():
    original = state()
    tables = [unpack(pack(original, IDS))['token_embedding.weight'] for _ in range(2)]
    assert tables[0].shape == (10, 4)
    torch.testing.assert_close(
        tables[0][IDS], original['token_embedding.weight'][IDS].half().float()
    )
    assert torch.equal(tables[0], tables[1])
    # Unknown words differ from each other, and are as long as open_clip draws them.
    others = tables[0][[row for row in range(10) if row not in IDS]]
    assert torch.cdist(others, others).fill_diagonal_(1).min() > 0
    assert others.std() < 0.04


def test_other_state_dicts_are_left_as_they_are():
    original = state()
    assert unpack(original) is original
