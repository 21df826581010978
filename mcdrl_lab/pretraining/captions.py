"""Captions of simulated scenes, and which captions are true of which scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcdrl_lab.simulation.scene import CONFOUNDER_PROMPTS, LESION_CLASSES
from mcdrl_mmseg.prompts import PromptSet

_ANY = -2

HEALTHY = -1
"""Stands for "no lesion" in place of a class's number."""

MAX_CONDITIONS = 4
"""Largest number of conditions in a caption; with more it would be truncated."""

BACKGROUND_PROMPTS = (
    'Normal mucosa in an endoscopic image',
    'A healthy organ in an endoscopic image',
)

PROMPTS = PromptSet(
    classes=LESION_CLASSES,
    confounders={'imaging conditions': tuple(CONFOUNDER_PROMPTS.values())},
    background_prompts=BACKGROUND_PROMPTS,
)
"""The prompt set of endoscopy, whose templates the captions are made from."""

_LESION_ONLY, _CONDITIONS_ONLY = 0.25, 0.25


@dataclass(frozen=True)
class Caption:
    """A text about a scene, and the conditions under which it is true.

    Args:
        text: The text.
        lesion: Number of the lesion class it names, ``HEALTHY``, or None if it says
            nothing about lesions.
        conditions: Numbers of the confounders it names.
    """

    text: str
    lesion: int | None
    conditions: tuple[int, ...]


def write_caption(
    generator: np.random.Generator, lesion: int, conditions: np.ndarray
) -> Caption:
    """Write a random caption that is true of a scene.

    A quarter of the captions name the lesion alone, a quarter conditions alone, the
    others both. All are made from the three templates of the method.

    Args:
        generator: Source of the choice of words.
        lesion: Number of the scene's lesion class, or ``HEALTHY``.
        conditions: Numbers of the confounders that the scene has, in any order.
    """
    kind = generator.random()
    shuffled = generator.permutation(conditions)
    count = generator.integers(1, 1 + MAX_CONDITIONS)
    named = tuple(int(number) for number in shuffled[:count])
    words = ' and '.join(PROMPTS.confounder_names[number] for number in named)
    if named and kind < _CONDITIONS_ONLY:
        text = PROMPTS.confounder_template.format(domain=words)
        return Caption(text, None, named)
    alone = not named or kind < _CONDITIONS_ONLY + _LESION_ONLY
    if lesion == HEALTHY:
        text = BACKGROUND_PROMPTS[generator.integers(len(BACKGROUND_PROMPTS))]
        text = text if alone else f'Normal mucosa with {words}'
    else:
        name = PROMPTS.classes[lesion]
        template = (
            PROMPTS.class_template if alone else PROMPTS.class_confounder_template
        )
        text = template.format(**{'class': name, 'domain': words})
    return Caption(text, lesion, () if alone else named)


def true_of(
    captions: list[Caption], lesions: np.ndarray, conditions: np.ndarray
) -> np.ndarray:
    """Which captions are true of which scenes.

    Args:
        captions: T captions.
        lesions: (B,) number of each scene's lesion class, or ``HEALTHY``.
        conditions: (B, M) bool, which confounders each scene has.

    Returns:
        (T, B) bool.
    """
    named = np.zeros((len(captions), conditions.shape[1]), bool)
    for row, caption in zip(named, captions):
        row[list(caption.conditions)] = True
    lesion = np.array([_ANY if c.lesion is None else c.lesion for c in captions])
    missing = named.astype(np.int64) @ (~conditions.T).astype(np.int64)
    right = (lesion[:, None] == _ANY) | (lesion[:, None] == lesions[None])
    return right & (missing == 0)
