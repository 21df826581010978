"""The image normalisation that a CLIP was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import Module

from .model_source import has_source, read_source
from .weights import is_tag

if TYPE_CHECKING:
    from .towers import CLIPSpec


class Normalisation(NamedTuple):
    """Mean and standard deviation of RGB, for pixel values scaled to 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def openai_normalisation() -> Normalisation:
    """Normalisation of OpenAI's CLIP, open_clip's default."""
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    return Normalisation(tuple(OPENAI_DATASET_MEAN), tuple(OPENAI_DATASET_STD))


def _of_entries(entries: dict) -> Normalisation:
    default = openai_normalisation()
    mean, std = entries.get('mean') or default.mean, entries.get('std') or default.std
    return Normalisation(_of_each_channel(mean), _of_each_channel(std))


def _of_each_channel(values: float | Sequence[float]) -> tuple[float, ...]:
    """One number for each channel; a single one is that of all, as in open_clip."""
    if isinstance(values, Sequence):
        return tuple(map(float, values))
    return (float(values),) * 3


def normalisation_by_name(model_name: str) -> Normalisation:
    """Normalisation that follows from a model's name, whichever weights it gets.

    Args:
        model_name: An architecture, or a name with a scheme.

    Returns:
        For a folder or repository that of its ``preprocess_cfg``. For an architecture
        that of its published weights if all agree, else OpenAI's.
    """
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    if has_source(model_name):
        return _of_entries(read_source(model_name).preprocess)
    name = model_name.replace('/', '-')
    tags = list_pretrained_tags_by_model(name)
    found = {_of_entries(get_pretrained_cfg(name, tag)) for tag in tags}
    return found.pop() if len(found) == 1 else openai_normalisation()


def normalisation_of(spec: CLIPSpec) -> Normalisation:
    """Normalisation that a model's weights were trained with.

    Args:
        spec: The model. A tag has a known normalisation. For a file it follows from the
            name of the architecture (:func:`normalisation_by_name`).
    """
    if spec.pretrained is not None and is_tag(spec.pretrained, spec.model_name):
        from open_clip.pretrained import get_pretrained_cfg

        name = spec.model_name.replace('/', '-')
        return _of_entries(get_pretrained_cfg(name, spec.pretrained))
    return normalisation_by_name(spec.model_name)


def guide_normalisation(
    spec: CLIPSpec, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Tensor, Tensor]:
    """Normalisation for the CLIP guide of another backbone, in pixel values 0 to 255.

    Args:
        spec: The guide's CLIP.
        mean: The config's; None takes that of the model's name.
        std: Likewise.

    Raises:
        ValueError: Not given, and the weights were trained with another normalisation
            than the model's name implies.
    """
    named = normalisation_by_name(spec.model_name)
    if mean is None or std is None:
        own = normalisation_of(spec)
        if own != named:
            # A checkpoint's config does not say which weights it started from.
            raise ValueError(
                f'pretrained={spec.pretrained!r} of {spec.model_name} was trained with '
                'a different normalisation than other weights of its architecture. Set '
                f'clip_mean={[255 * value for value in own.mean]} and '
                f'clip_std={[255 * value for value in own.std]} of CLIPGuidedBackbone.'
            )
    return (
        torch.tensor(named.mean) * 255 if mean is None else torch.tensor(mean),
        torch.tensor(named.std) * 255 if std is None else torch.tensor(std),
    )


def refuse_other_normalisation(spec: CLIPSpec, data_preprocessor: Module) -> None:
    """Refuse a data preprocessor by which images reach a tower in wrong colours.

    Args:
        spec: The tower's CLIP; with random weights any normalisation is accepted.
        data_preprocessor: A segmentor's.

    Raises:
        ValueError: They differ; the message names both normalisations.
    """
    if spec.weights is None:
        return
    found = preprocessor_values(data_preprocessor)
    wanted = normalisation_of(spec)
    if found['bgr'] or differs(wanted, found['mean'], found['std']):
        own = dict(
            mean=[round(255 * value, 4) for value in wanted.mean],
            std=[round(255 * value, 4) for value in wanted.std],
            bgr_to_rgb=True,
        )
        raise ValueError(
            f'{spec.model_name} was trained with the normalisation {own}, but the data '
            f'preprocessor applies {found}. Set mean, std and bgr_to_rgb of '
            'model.data_preprocessor.'
        )


def preprocessor_values(data_preprocessor: Module) -> dict:
    """Mean, std (pixel values 0 to 255) and ``bgr`` that a data preprocessor applies.

    Args:
        data_preprocessor: A segmentor's.
    """
    one = nn.Parameter().new_ones(3)
    mean = getattr(data_preprocessor, 'mean', one * 0).flatten().tolist()
    std = getattr(data_preprocessor, 'std', one).flatten().tolist()
    return dict(mean=mean, std=std, bgr=not swaps_channels(data_preprocessor))


def swaps_channels(data_preprocessor: Module) -> bool:
    """Whether a data preprocessor swaps BGR and RGB.

    Args:
        data_preprocessor: A segmentor's.
    """
    # The attribute is private in the maintained continuation of MMSegmentation.
    names = ('channel_conversion', '_channel_conversion')
    return any(getattr(data_preprocessor, name, False) for name in names)


def differs(normalisation: Normalisation, mean: list, std: list) -> bool:
    """Whether mean and std, in pixel values 0 to 255, differ from a model's.

    Args:
        normalisation: The model's.
        mean: The data preprocessor's.
        std: Likewise.
    """
    # Configs round the values to one decimal or more; that counts as equal.
    wanted = [255 * value for value in (*normalisation.mean, *normalisation.std)]
    return not np.allclose([*mean, *std], wanted, atol=0.1, rtol=0)
