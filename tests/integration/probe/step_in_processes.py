"""Gradients of processes that share a batch, against one process with all of it.

Usage, with torchrun's variables: step_in_processes.py CONFIG OUTPUT_FOLDER. Every rank
writes, for each variant of the model, the largest difference of any parameter's
gradient over that gradient's size.
"""

import copy
import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import mcdrl_mmseg  # noqa: F401
from mcdrl_lab.simulation.drawn_conditions import CONDITIONS

_IMAGES = 4
_ONE_CONFOUNDER = {name: float(name == 'reflection') for name in CONDITIONS}
_NO_CONTRAST = {'decode_head.loss_contrast': None}

# Sampling draws from a prior that leaves no choice: otherwise the draws would differ.
VARIANTS = {
    'attention': {},
    'attention without contrast': _NO_CONTRAST,
    'expectation': {'decode_head.intervention.approximation': 'expectation'},
    'expectation without contrast': {
        'decode_head.intervention.approximation': 'expectation',
        **_NO_CONTRAST,
    },
    'sampling': {
        'decode_head.intervention.approximation': 'sampling',
        'decode_head.dictionary.prior': _ONE_CONFOUNDER,
    },
    'sampling without contrast': {
        'decode_head.intervention.approximation': 'sampling',
        'decode_head.dictionary.prior': _ONE_CONFOUNDER,
        **_NO_CONTRAST,
    },
    'gate at 0': {'decode_head.intervention.gate': 0.0},
    'no losses besides segmentation': {
        'decode_head.loss_causal': None,
        **_NO_CONTRAST,
    },
    'tower used up to an early level alone': {
        'backbone.out_indices': (2,),
        'decode_head.in_index': 0,
        'decode_head.in_channels': 192,
        'decode_head.predictor.in_index': 0,
        'decode_head.predictor.in_channels': 192,
        **_NO_CONTRAST,
    },
    'no selection': {'decode_head.region_selector': None},
    'unselected to zero': {'decode_head.unselected': 'zero'},
    'no intervention': {'decode_head.intervention': None},
    'learned dictionary': {'decode_head.dictionary.source': 'learned'},
    'observed confounders': {'decode_head.intervention.observe_confounders': True},
    'observed learned dictionary': {
        'decode_head.intervention.observe_confounders': True,
        'decode_head.dictionary.source': 'learned',
    },
    'self-attention': {'decode_head.intervention.attend_to': 'self'},
    'frozen tower': {'backbone.frozen': True},
    'partly frozen tower': {'backbone.frozen_stages': 2},
}


def build(config, variant):
    """A model of a variant, the same on all ranks, with a filled dictionary."""
    config = copy.deepcopy(config)
    config.merge_from_dict({f'model.{key}': value for key, value in variant.items()})
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    dictionary = model.decode_head.dictionary
    texts = torch.randn(len(dictionary.texts), dictionary.embed_dims)
    dictionary.fill(torch.nn.functional.normalize(texts, dim=1), '0' * 64)
    return model.train()


def batch():
    """Four images; those of the second process have no lesion."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(_IMAGES, 3, 64, 64, generator=generator)
    samples = []
    for index in range(_IMAGES):
        mask = torch.zeros(1, 64, 64, dtype=torch.long)
        if index < _IMAGES // 2:
            mask[:, 8 : 30 + 8 * index, 8:40] = 1
        classes = ('polyp', 'vocal fold lesion')[index : index + 1]
        sample = SegDataSample(metainfo=dict(lesion_classes=classes))
        sample.gt_sem_seg = PixelData(data=mask)
        samples.append(sample)
    return images, samples


def backward(model, images, samples):
    """Gradients after one forward and backward pass."""
    model.zero_grad()
    losses = model(images, samples, mode='loss')
    plain = model.module if isinstance(model, MMDistributedDataParallel) else model
    total, _ = plain.parse_losses(losses)
    total.backward()
    return {
        name: None if parameter.grad is None else parameter.grad.clone()
        for name, parameter in plain.named_parameters()
        if parameter.requires_grad
    }


def compare(config, variant):
    """Largest relative difference of a gradient, or a message about what is wrong."""
    model = build(config, variant)
    joint = backward(copy.deepcopy(model), *batch())
    missing = [name for name, gradient in joint.items() if gradient is None]
    if missing:
        return f'no gradient: {missing}'
    wrapped = MMDistributedDataParallel(
        model, broadcast_buffers=False, find_unused_parameters=False
    )
    images, samples = batch()
    share = slice(2 * dist.get_rank(), 2 * dist.get_rank() + 2)
    # A parameter that took no part in the first pass is an error in the second.
    for _ in range(2):
        shared = backward(wrapped, images[share], samples[share])
    return max(
        float((shared[name] - gradient).norm() / gradient.norm().clamp(min=1e-6))
        for name, gradient in joint.items()
    )


def main():
    config_file, folder = sys.argv[1:]
    dist.init_process_group('gloo')
    config = Config.fromfile(config_file)
    init_default_scope('mmseg')
    found = {}
    for name, variant in VARIANTS.items():
        try:
            found[name] = compare(config, variant)
        except RuntimeError as error:
            found[name] = str(error)
    path = Path(folder) / f'gradients_rank{dist.get_rank()}.json'
    path.write_text(json.dumps(found))


if __name__ == '__main__':
    main()
