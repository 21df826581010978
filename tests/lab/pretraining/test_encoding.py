import pytest
import torch

from mcdrl_lab.pretraining.encoding import normalise


def test_normalise_uses_clips_mean_and_deviation():
    images = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    expected = (1 - 0.48145466) / 0.26862954
    assert normalise(images)[0, 0, 0, 0].item() == pytest.approx(expected)
