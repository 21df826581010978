"""A segmentor as one function of pixels, with the dictionary as constants."""

from __future__ import annotations

import copy
from functools import partial

import torch
from mmseg.models import EncoderDecoder
from mmseg.models.backbones.swin import ShiftWindowMSA
from mmseg.models.decode_heads.ham_head import Hamburger
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional as F

from mcdrl_common import InputError
from mcdrl_mmseg.apis.temperature import divide_logits
from mcdrl_mmseg.clip.lora import merge_lora
from mcdrl_mmseg.clip.normalisation import preprocessor_values
from mcdrl_mmseg.models import CausalInterventionHead
from mcdrl_mmseg.models.causal_intervention import remove_confounder_span
from mcdrl_mmseg.models.last_decode_head import last_decode_head


class ExportError(InputError, RuntimeError):
    """A model that cannot be exported as asked; the message says what to do."""


class DeployableSegmentor(nn.Module):
    """From pixels to logits, like ``EncoderDecoder.predict`` at the input's size.

    Includes the normalisation, and the temperatures of a calibrated checkpoint. The
    input is uint8, so that images that are already normalised or scaled to [0, 1] raise
    an error instead of giving bad predictions.

    Args:
        model: From :func:`mcdrl_mmseg.apis.checkpoint.load_segmentor`; it is copied.

    Raises:
        ExportError: Not an ``EncoderDecoder``, or one with sliding-window inference.
        DictionaryError: The dictionary is not built.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not isinstance(model, EncoderDecoder):
            raise ExportError(
                f'{type(model).__name__} cannot be exported; only EncoderDecoder can.'
            )
        mode = (model.test_cfg or {}).get('mode', 'whole')
        if mode != 'whole':
            raise ExportError(
                f'the model predicts in windows (test_cfg.mode={mode!r}), which an '
                "exported file cannot do. Set model.test_cfg=dict(mode='whole') in "
                'the config, export for the size of a window, and cut images into '
                'windows yourself.'
            )
        self.model = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
        # timm's stem of EfficientNet is channels-last: torch.export.save would warn.
        self.model.to(memory_format=torch.contiguous_format)
        merge_lora(self.model)
        # Only needed for losses.
        self.model.auxiliary_head = None
        values = preprocessor_values(self.model.data_preprocessor)
        for name in ('mean', 'std'):
            self.register_buffer(name, torch.tensor(values[name]).view(-1, 1, 1))
        self.takes_rgb = not values['bgr']
        # Only models from load_segmentor have the attribute.
        self.temperature = getattr(model, 'temperature', None)
        head = last_decode_head(self.model)
        if isinstance(head, CausalInterventionHead):
            _bake_dictionary(head)
        for module in self.model.modules():
            if isinstance(module, ShiftWindowMSA):
                module.window_reverse = partial(_join_windows, module.window_size)
            if isinstance(module, Hamburger):
                _draw_once(module)
            if isinstance(module, Conv2dSame):
                module.forward = partial(_convolve, module)  # type: ignore[method-assign]

    def forward(self, images: Tensor) -> Tensor:
        """Segment.

        Args:
            images: (B, 3, H, W) uint8, red first.

        Returns:
            (B, C, H, W) float32 logits. A sigmoid for one channel, or a softmax over C
            for more, turns them into probabilities.
        """
        if not self.takes_rgb:
            images = images.flip(1)
        normalised = (images.float() - self.mean) / self.std
        logits = self.model.encode_decode(
            normalised, [dict(img_shape=images.shape[2:])]
        )
        if self.temperature is None:
            return logits
        return divide_logits(logits, self.temperature)


def _draw_once(hamburger: Hamburger) -> None:
    """Keep the first bases of SegNeXt's matrix decomposition, else drawn at each pass.

    Else no two passes would agree, and no file with PyTorch.
    """
    ham = hamburger.ham
    if ham.rand_init:
        width = hamburger.ham_in.conv.out_channels // ham.S
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            bases = ham._build_bases(1, ham.S, width, ham.R, device='cpu')
        ham.register_buffer('bases', bases)
        ham.rand_init = False


def _convolve(conv: Conv2dSame, inputs: Tensor) -> Tensor:
    """Replaces timm's "same" padding, whose float division makes a trace endless.

    A variable size then is a term of nested divisions, which PyTorch simplifies for
    hours. Remainders of a multiple of 32 are constants.

    Args:
        conv: The convolution.
        inputs: (B, C, H, W).

    Returns:
        (B, C', ceil(H / stride), ceil(W / stride)).
    """
    padding: list[int] = []
    # The last side comes first in the padding.
    for side in (1, 0):
        length, stride = inputs.shape[2 + side], conv.stride[side]
        reach = (conv.kernel_size[side] - 1) * conv.dilation[side] + 1
        total = max(reach - (length % stride or stride), 0)
        padding += [total // 2, total - total // 2]
    return F.conv2d(
        F.pad(inputs, padding),
        conv.weight,
        conv.bias,
        conv.stride,
        0,
        conv.dilation,
        conv.groups,
    )


def _join_windows(side: int, windows: Tensor, height: int, width: int) -> Tensor:
    """Replaces Swin's ``window_reverse``, whose float division fixes the batch size.

    Args:
        side: Side of a window.
        windows: (B * number of windows, side, side, c).
        height: Height of the map.
        width: Width of the map.

    Returns:
        (B, height, width, c).
    """
    rows, columns = height // side, width // side
    parts = windows.reshape(-1, rows, columns, side, side, windows.shape[-1])
    return parts.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])


def _bake_dictionary(head: CausalInterventionHead) -> None:
    """Precompute what depends only on the dictionary and no exporter supports."""
    head.dictionary.check_built()
    entries = head.dictionary.entries
    for intervention in head.interventions:
        if intervention.residual == 'orthogonal':
            # The removal is linear: its images of unit vectors form its matrix.
            unit_vectors = torch.eye(entries.shape[1])
            projection = remove_confounder_span(unit_vectors, entries)
            intervention.register_buffer('projection', projection)
            intervention._residual_tokens = partial(_project, intervention)


def _project(intervention: nn.Module, tokens: Tensor, _: Tensor) -> Tensor:
    return tokens @ intervention.projection
