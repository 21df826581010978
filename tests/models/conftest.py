"""Small prompts, labelled samples, and a dictionary filled with random vectors."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mcdrl_mmseg.models import ConfounderDictionary


@pytest.fixture
def prompts() -> dict:
    """K = 2 lesion classes, M = 3 confounders."""
    return dict(
        classes=['polyp', 'cyst'],
        confounders={'light': ['glare', 'dark'], 'view': ['blur']},
        background_prompts=['Normal mucosa'],
    )


@pytest.fixture
def unit_vectors():
    """Makes (n, d) random unit vectors."""

    def make(count: int, dims: int, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(count, dims, generator=generator)
        return torch.nn.functional.normalize(values, dim=1)

    return make


@pytest.fixture
def fill(unit_vectors):
    """Builds a dictionary, as the hook does, with random unit vectors."""

    def fill_dictionary(dictionary: ConfounderDictionary) -> ConfounderDictionary:
        count = len(dictionary.texts)
        dictionary.fill(unit_vectors(count, dictionary.embed_dims), 'ab' * 32)
        return dictionary

    return fill_dictionary


@pytest.fixture
def samples():
    """Makes labelled samples of a size, one for each tuple of lesion names.

    An empty tuple makes a sample without a lesion.
    """

    def make(size: tuple[int, int], lesions: list[tuple[str, ...]]) -> list:
        generator = torch.Generator().manual_seed(5)
        made = []
        for names in lesions:
            labels = torch.zeros(1, *size, dtype=torch.long)
            if names:
                labels[:, : size[0] // 2, size[1] // 3 :] = 1
            labels[torch.rand(labels.shape, generator=generator) < 0.05] = 255
            sample = SegDataSample(gt_sem_seg=PixelData(data=labels))
            shapes = dict.fromkeys(('img_shape', 'pad_shape', 'ori_shape'), size)
            sample.set_metainfo(dict(**shapes, lesion_classes=names, img_path='x'))
            made.append(sample)
        return made

    return make
