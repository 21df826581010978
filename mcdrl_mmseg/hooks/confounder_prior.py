"""P(z) from the training images: how often CLIP sees each imaging condition."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from torch import Tensor
from torch.nn import functional as F

from mcdrl_mmseg.models import ConfounderDictionary

from .unwrap import unwrap_model

_BATCH_SIZE = 16


@torch.no_grad()
def estimate_prior(
    runner: Runner,
    dictionary: ConfounderDictionary,
    num_images: int,
    temperature: float,
) -> Tensor:
    """Estimate P(z) as the mean of P(z | image) over training images.

    P(z | image) is CLIP's zero-shot softmax of the image embedding over the texts of
    the confounders. Random states are put back afterwards.

    Args:
        runner: Its training dataset and model are used.
        dictionary: Filled with text embeddings.
        num_images: Images used, evenly spaced over the dataset.
        temperature: Of the softmax over cosines; CLIP's own is 0.01.

    Returns:
        (M,), sums to 1, on the CPU.
    """
    model = unwrap_model(runner)
    dataset = runner.train_dataloader.dataset
    count = min(num_images, len(dataset))
    indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    texts = F.normalize(dictionary.confounder_embeddings.float(), dim=-1)
    numpy_state, was_training = np.random.get_state(), model.training
    total = torch.zeros(len(texts))
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            np.random.seed(0)
            model.eval()
            for start in range(0, count, _BATCH_SIZE):
                batch = [dataset[int(i)] for i in indices[start : start + _BATCH_SIZE]]
                data = model.data_preprocessor(pseudo_collate(batch), training=False)
                embedding = model.backbone(data['inputs'])[-1].flatten(1).float()
                cosine = F.normalize(embedding, dim=1) @ texts.t()
                total += (cosine / temperature).softmax(dim=1).sum(dim=0).cpu()
    finally:
        np.random.set_state(numpy_state)
        model.train(was_training)
    return total / total.sum()
