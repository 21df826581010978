import runpy
from pathlib import Path

import pytest
import torch

GOLDEN = runpy.run_path(str(Path(__file__).with_name('make_golden.py')))


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('golden') / 'golden.pth'
    GOLDEN['save_checkpoint'](path)
    return path


@pytest.mark.reliability(
    'determinism', 'a committed checkpoint gives its committed mask (Dice >= 0.99)'
)
def test_predicted_mask_agrees_with_the_golden_one(checkpoint):
    torch.set_num_threads(1)
    expected = GOLDEN['read_mask']()
    assert 0.02 < expected.mean() < 0.5
    predicted = GOLDEN['predict'](checkpoint, str(GOLDEN['IMAGE']))
    assert predicted.shape == expected.shape
    assert GOLDEN['dice'](predicted, expected) >= GOLDEN['SAME']


def test_changing_the_head_changes_the_predicted_mask(checkpoint, tmp_path):
    """Otherwise any head would pass the test above."""
    content = torch.load(checkpoint, weights_only=True)
    state = content['state_dict']
    key = 'decode_head.intervention.layers.0.ffn.3.weight'
    state[key] = -10 * state[key]
    path = tmp_path / 'other.pth'
    torch.save(content, path)
    predicted = GOLDEN['predict'](path, str(GOLDEN['IMAGE']))
    assert GOLDEN['dice'](predicted, GOLDEN['read_mask']()) < GOLDEN['SAME']
