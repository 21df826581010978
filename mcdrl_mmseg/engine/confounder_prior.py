"""P(z) from the training images: how often CLIP sees each imaging condition."""

from __future__ import annotations

import random

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from torch import Tensor
from torch.nn import functional as F

from mcdrl_mmseg.models import ConfounderDictionary
from mcdrl_mmseg.models.image_conditions import image_embeddings

from .runner import undisturbed, unwrap_model


def estimate_prior(
    runner: Runner,
    dictionary: ConfounderDictionary,
    num_images: int,
    temperature: float,
) -> Tensor:
    """Estimate P(z) as the mean of P(z | image) over training images.

    P(z | image) is CLIP's zero-shot softmax of the image embedding over the texts of
    the confounders. Images are processed one by one, as a training pipeline may give
    them different sizes. Random states are restored afterwards.

    Args:
        runner: Its training dataset and model are used.
        dictionary: Filled with text embeddings.
        num_images: Number of images, evenly spaced over the dataset.
        temperature: Temperature of the softmax over cosines; CLIP's own is 0.01.

    Returns:
        P(z), (M,), sums to 1, on the CPU.
    """
    model = unwrap_model(runner)
    dataset = runner.train_dataloader.dataset
    count = min(num_images, len(dataset))
    indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    texts = F.normalize(dictionary.confounder_embeddings.float(), dim=-1)
    total = torch.zeros(len(texts))
    with undisturbed(model):
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        for index in indices.tolist():
            sample = pseudo_collate([dataset[index]])
            data = model.data_preprocessor(sample, training=False)
            cosine = image_embeddings(model, data['inputs']) @ texts.t()
            total += (cosine / temperature).softmax(dim=1)[0].cpu()
    return total / total.sum()
