"""What is timed as inference."""

import pytest
import torch
from mmseg.models import MultimodalEncoderDecoder
from torch import nn

from mcdrl_lab.benchmarks.steps import Setting, inference_step

SETTING = Setting(size=32, batch_size=3)


class PixelMean(nn.Module):
    """A segmentor that records how it is called."""

    def forward(self, inputs, mode):
        self.seen = (tuple(inputs.shape), mode, torch.is_grad_enabled(), self.training)
        return inputs.mean(dim=1, keepdim=True)


class TwoTowers(MultimodalEncoderDecoder):
    """Like SAN, whose plain forward pass fails in mmseg."""

    def __init__(self):
        nn.Module.__init__(self)

    def encode_decode(self, inputs, batch_img_metas):
        self.seen = (tuple(inputs.shape), batch_img_metas[0]['img_shape'])
        return inputs


def test_inference_gives_logits_of_the_whole_batch_without_gradients():
    model = PixelMean()
    logits = inference_step(model, SETTING)()
    assert logits.shape == (3, 1, 32, 32)
    assert model.seen == ((3, 3, 32, 32), 'tensor', False, False)


def test_a_multimodal_segmentor_is_run_by_encode_decode():
    model = TwoTowers()
    inference_step(model, SETTING)()
    assert model.seen == ((3, 3, 32, 32), (32, 32))


@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize('own', [torch.contiguous_format, torch.channels_last])
def test_weights_keep_their_memory_format_unless_channels_last_is_set(
    own, channels_last
):
    """Otherwise a bare tower of depthwise convolutions is slower than in its model."""
    model = PixelMean()
    model.conv = nn.Conv2d(3, 4, 3).to(memory_format=own)
    inference_step(model, Setting(size=32, channels_last=channels_last))
    wanted = torch.channels_last if channels_last else own
    assert model.conv.weight.is_contiguous(memory_format=wanted)
