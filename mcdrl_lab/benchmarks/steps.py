"""The steps that are timed: a forward pass of inference, or a whole training step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.models import MultimodalEncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mcdrl_mmseg.models.last_decode_head import last_decode_head

from .models import Subject


@dataclass(frozen=True)
class Setting:
    """How to run.

    Args:
        device: As ``'cpu'`` or ``'cuda:0'``.
        batch_size: Images in a batch.
        size: Height and width in pixels.
        amp: Mixed precision, bfloat16.
        compile: Run through ``torch.compile``.
        channels_last: Use channels-last memory format for weights and images; otherwise
            weights keep the model's own format.
    """

    device: str = 'cpu'
    batch_size: int = 1
    size: int = 224
    amp: bool = False
    compile: bool = False
    channels_last: bool = False

    def put(self, item: Any) -> Any:
        """Move a model or images to the device, in the memory format."""
        if self.channels_last:
            return item.to(self.device, memory_format=torch.channels_last)
        return item.to(self.device)


def inference_step(model: nn.Module, setting: Setting) -> Callable[[], object]:
    """A forward pass from normalised pixels to logits.

    Args:
        model: From :meth:`~mcdrl_lab.benchmarks.models.Subject.build`.
        setting: How to run it.
    """
    model = setting.put(model).eval()
    size = (setting.batch_size, 3, setting.size, setting.size)
    images = setting.put(torch.randn(size, device=setting.device))
    forward, arguments = _logits_of(model, setting.size)
    forward = torch.compile(forward) if setting.compile else forward
    device_type = torch.device(setting.device).type

    def run() -> object:
        with (
            torch.no_grad(),
            torch.autocast(device_type, torch.bfloat16, enabled=setting.amp),
        ):
            return forward(images, **arguments)

    return run


def _logits_of(model: nn.Module, size: int) -> tuple[Callable[..., Tensor], dict]:
    """The function that computes logits of images, and its other arguments.

    The ``tensor`` mode of mmseg's MultimodalEncoderDecoder, as in SAN, fails because it
    lacks an argument. For it, ``encode_decode`` is timed, which tests call and which
    also resizes the logits to the size of the images.
    """
    if isinstance(model, MultimodalEncoderDecoder):
        shape = (size, size)
        meta = dict(img_shape=shape, ori_shape=shape, pad_shape=shape)
        return model.encode_decode, dict(batch_img_metas=[meta])
    return model, dict(mode='tensor')


def lesion_class(model: nn.Module) -> str:
    """A lesion class of the model's prompts; any word for a model without prompts."""
    dictionary = getattr(last_decode_head(model), 'dictionary', None)
    return 'lesion' if dictionary is None else dictionary.prompts.classes[0]


def training_batch(setting: Setting, lesion: str) -> dict:
    """Random images and masks, as a data loader passes them to a segmentor.

    Args:
        setting: Its batch size and image size are used.
        lesion: Lesion class of every image.
    """
    size = (setting.size, setting.size)
    images = [
        torch.randint(0, 256, (3, *size), dtype=torch.uint8)
        for _ in range(setting.batch_size)
    ]
    samples = []
    for _ in images:
        sample = SegDataSample(
            metainfo=dict(
                img_shape=size,
                ori_shape=size,
                pad_shape=size,
                lesion_classes=(lesion,),
                site='noise',
            )
        )
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 2, (1, *size)))
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


def training_step(
    subject: Subject, model: nn.Module, setting: Setting
) -> Callable[[], object]:
    """MMEngine's training step with the config's own optimiser, without data loading.

    Args:
        subject: Its config names the optimiser.
        model: Model built from the subject.
        setting: How to run it.
    """
    model = setting.put(model).train()
    wrapper_cfg = copy.deepcopy(subject.cfg.optim_wrapper)
    if setting.amp:
        wrapper_cfg['type'] = 'BFloat16OptimWrapper'
    wrapper = build_optim_wrapper(model, wrapper_cfg)
    if setting.compile:
        model.forward = torch.compile(model.forward)
    batch = training_batch(setting, lesion_class(model))

    def run() -> object:
        return model.train_step(
            dict(inputs=list(batch['inputs']), data_samples=batch['data_samples']),
            wrapper,
        )

    run.optimizer = wrapper.optimizer  # type: ignore[attr-defined]
    return run
