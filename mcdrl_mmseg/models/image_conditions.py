"""CLIP's view of whole images: their embeddings, and a score of each condition."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .backbones import CLIPGuidedBackbone, CLIPVisionBackbone
from .confounder_dictionary import ConfounderDictionary, DictionaryError
from .last_decode_head import last_decode_head

# Control dictionaries: their entries are not the embeddings of their names' texts.
_NAMELESS = ('shuffled', 'random')


class ImageConditions(NamedTuple):
    """What CLIP sees in a batch of images.

    Attributes:
        embeddings: (B, d) image embeddings, L2-normalised, float32.
        scores: (B, M) cosine with the text of each imaging condition, float32.
    """

    embeddings: Tensor
    scores: Tensor


def condition_dictionary(model: nn.Module) -> ConfounderDictionary:
    """The dictionary that names a model's imaging conditions.

    Args:
        model: A segmentor.

    Raises:
        DictionaryError: The model has no CLIP tower or no dictionary, the dictionary is
            a control whose names say nothing about its entries, or it is not built.
    """
    dictionary = getattr(last_decode_head(model), 'dictionary', None)
    backbone = getattr(model, 'backbone', None)
    has_tower = isinstance(backbone, CLIPGuidedBackbone | CLIPVisionBackbone)
    if not isinstance(dictionary, ConfounderDictionary) or not has_tower:
        raise DictionaryError(
            'the model has no CLIP tower with a dictionary of imaging conditions: '
            'use a checkpoint that was trained with MCDRL (configs/mcdrl).'
        )
    if dictionary.source in _NAMELESS:
        raise DictionaryError(
            f'the dictionary is a control (source={dictionary.source!r}): its names '
            "do not describe its entries. Use a checkpoint with source='text'."
        )
    dictionary.check_built()
    return dictionary


@torch.no_grad()
def image_embeddings(model: nn.Module, inputs: Tensor) -> Tensor:
    """Run CLIP's image tower, and nothing else, on whole images.

    Args:
        model: A segmentor with a CLIP tower, in evaluation mode.
        inputs: (B, 3, H, W), from its data preprocessor.

    Returns:
        (B, d), L2-normalised, float32.
    """
    backbone = model.backbone
    if isinstance(backbone, CLIPGuidedBackbone):
        outputs = backbone.guide(backbone.clip_images(inputs))
    else:
        outputs = backbone(inputs)
    return F.normalize(outputs[-1].flatten(1).float(), dim=1)


def image_conditions(model: nn.Module, inputs: Tensor) -> ImageConditions:
    """Compare whole images with the text of each imaging condition.

    Args:
        model: A segmentor, see :func:`condition_dictionary`; in evaluation mode.
        inputs: (B, 3, H, W), from its data preprocessor.
    """
    texts = condition_dictionary(model).confounder_embeddings
    embeddings = image_embeddings(model, inputs)
    scores = embeddings @ F.normalize(texts.float(), dim=1).T
    return ImageConditions(embeddings, scores)
