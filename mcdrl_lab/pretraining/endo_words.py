"""Words of real endoscopy for captions, and words that captions must not contain.

Three lists are disjoint: words of captions, words for choosing options of the training,
and words that are only used for the final measurement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from mcdrl_lab.simulation.drawn_conditions import (
    ARTIFACTS,
    BLOOD,
    BLUR,
    BRIGHT,
    CONDITIONS,
    DARK,
    FAR,
    MUCUS,
    NARROW_BAND,
    NEAR,
    REFLECTION,
    UNEVEN,
    WHITE_LIGHT,
)
from mcdrl_mmseg.prompts import PromptSet

from .captions import BACKGROUND_PROMPTS

NORMAL, POLYP = 0, 1
"""Lesion labels; None stands for "not named" or "not known"."""

SLIGHT, STRONG = 0.45, 0.7
"""A condition is slight below the first strength, and strong above the second."""

PROMPTS = PromptSet(
    classes=('polyp',),
    confounders={'imaging conditions': CONDITIONS},
    background_prompts=BACKGROUND_PROMPTS,
)
"""The method's prompts, whose templates captions and tests use."""


def _words(listed: str) -> tuple[str, ...]:
    return tuple(listed.split(', '))


LESION_WORDS: dict[int, tuple[str, ...]] = {
    POLYP: _words(
        'polyp, colorectal polyp, polypoid lesion, lesion, raised lesion, mucosal '
        'protrusion, neoplasm, precancerous lesion, abnormality'
    ),
    NORMAL: _words(
        'normal mucosa, healthy organ, healthy mucosa, normal tissue, normal colon, '
        'smooth healthy wall, healthy bowel, normal finding'
    ),
}

CONDITION_WORDS: dict[int, tuple[str, ...]] = {
    BLUR: _words(
        'blur, motion blur, a blurry view, a blurred picture, unsharp details, '
        'smeared contours, a hazy view'
    ),
    ARTIFACTS: _words(
        'artifacts, compression artifacts, image noise, block artifacts, '
        'pixelation, a corrupted picture, interlacing artifacts'
    ),
    BRIGHT: _words(
        'bright lighting, overexposure, too much light, very bright light, '
        'excessive brightness, a washed-out picture'
    ),
    DARK: _words(
        'dark lighting, darkness, too little light, underexposure, poor light, a '
        'very dark view, low brightness, shadowy tissue'
    ),
    UNEVEN: _words(
        'uneven lighting, vignetting, light from one side, non-uniform '
        'illumination, unevenly lit tissue, inhomogeneous light'
    ),
    NARROW_BAND: _words(
        'narrow-band imaging, NBI, narrow band light, blue-green light, virtual '
        'chromoendoscopy, filtered light'
    ),
    WHITE_LIGHT: _words(
        'white light imaging, white light, standard white light, natural colours, '
        'conventional white light, WLI'
    ),
    NEAR: _words(
        'near distance, a close-up, close range, the camera close to the tissue, a '
        'near view, a magnified view'
    ),
    FAR: _words(
        'far distance, a distant view, long range, the camera far away, a far view, '
        'tissue far from the camera'
    ),
    MUCUS: _words(
        'mucus, slime, a mucous film, phlegm, sticky secretion, whitish mucus'
    ),
    BLOOD: _words(
        'blood, bleeding, red blood on the tissue, fresh blood, a bloody surface, '
        'blood stains'
    ),
    REFLECTION: _words(
        'reflection, light reflections, glare spots, shiny spots, mirror-like '
        'reflection, white reflections'
    ),
}

CHOOSING_WORDS: dict[str, dict[int, tuple[str, ...]]] = {
    'lesion': {
        POLYP: ('polypoid mass', 'bump'),
        NORMAL: ('intact lining', 'unaffected tissue'),
    },
    'condition': {
        BLUR: ('fuzzy edges',),
        ARTIFACTS: ('digital distortion',),
        BRIGHT: ('intense illumination',),
        DARK: ('gloomy light',),
        UNEVEN: ('patchy illumination',),
        NARROW_BAND: ('optical chromoendoscopy',),
        WHITE_LIGHT: ('ordinary white illumination',),
        NEAR: ('short distance',),
        FAR: ('remote tissue',),
        MUCUS: ('mucous secretion',),
        BLOOD: ('gore',),
        REFLECTION: ('mirroring',),
    },
}
"""Words in no caption, used to choose options of the training."""

UNSEEN_WORDS: dict[str, dict[int, tuple[str, ...]]] = {
    'lesion': {
        POLYP: ('adenoma', 'growth', 'tumour'),
        NORMAL: ('unremarkable lining',),
    },
    'condition': {
        BLUR: ('out of focus', 'defocus'),
        ARTIFACTS: ('digital glitches',),
        BRIGHT: ('brightly lit tissue', 'blinding light'),
        DARK: ('dim', 'dim lighting'),
        UNEVEN: ('irregular lighting',),
        NARROW_BAND: ('narrowband endoscopy',),
        WHITE_LIGHT: ('normal white lighting',),
        NEAR: ('close proximity',),
        FAR: ('a faraway scene',),
        MUCUS: ('slimy fluid',),
        BLOOD: ('haemorrhage', 'hemorrhage'),
        REFLECTION: ('specular highlight', 'glint'),
    },
}
"""Words in no caption, only used for the final measurement."""

_LESION_TEMPLATES = (
    PROMPTS.class_template,
    'An endoscopy image with {class}',
    'A photo of {class}',
    '{class}',
)
_CONDITION_TEMPLATES = (
    PROMPTS.confounder_template,
    'An endoscopic image with {domain}',
    'An endoscopy frame, {domain}',
    '{domain}',
)
_GRADES = {SLIGHT: ('slight', 'mild'), STRONG: ('strong', 'severe')}


@dataclass(frozen=True)
class Claim:
    """What a caption says about an image.

    Args:
        lesion: ``POLYP``, ``NORMAL`` or None if it says nothing about lesions.
        condition: Number of the condition it names, or None.
        grade: ``SLIGHT``, ``STRONG`` or None if it gives no strength.
    """

    lesion: int | None = None
    condition: int | None = None
    grade: float | None = None


def captions() -> dict[Claim, tuple[str, ...]]:
    """All caption texts, grouped by what they claim."""
    texts: dict[Claim, list[str]] = {}

    def add(claim: Claim, text: str) -> None:
        texts.setdefault(claim, []).append(text)

    for lesion, words in LESION_WORDS.items():
        for word, template in product(words, _LESION_TEMPLATES):
            add(Claim(lesion), template.format(**{'class': word}))
    for text in PROMPTS.background_prompts:
        add(Claim(NORMAL), text)
    for condition, words in CONDITION_WORDS.items():
        for word, template in product(words, _CONDITION_TEMPLATES):
            add(Claim(condition=condition), template.format(domain=word))
        if condition != WHITE_LIGHT:
            for grade, adjectives in _GRADES.items():
                for word, adjective in product(words, adjectives):
                    named = f'{adjective} {word.removeprefix("a ")}'
                    text = PROMPTS.confounder_template.format(domain=named)
                    add(Claim(condition=condition, grade=grade), text)
        for lesion in LESION_WORDS:
            for name, word in product(LESION_WORDS[lesion], words):
                add(Claim(lesion, condition), _pair(lesion, name, word))
    return {claim: tuple(dict.fromkeys(rows)) for claim, rows in texts.items()}


def _pair(lesion: int, name: str, word: str) -> str:
    if lesion == NORMAL:
        return f'{name.capitalize()} with {word}'
    template = PROMPTS.class_confounder_template
    return template.format(**{'class': name, 'domain': word})


def trained_texts(claim: Claim) -> list[str]:
    """The method's own texts of a claim about a lesion or about a condition."""
    if claim.condition is not None:
        return [PROMPTS.confounder_texts[claim.condition]]
    if claim.lesion == NORMAL:
        return list(PROMPTS.background_prompts)
    return PROMPTS.class_texts


def other_texts(
    words: dict[str, dict[int, tuple[str, ...]]],
) -> Iterator[tuple[str, Claim, str]]:
    """Texts of words that are in no caption, in the method's templates.

    Args:
        words: ``CHOOSING_WORDS`` or ``UNSEEN_WORDS``.

    Yields:
        Word, what its text claims, and the text.
    """
    for lesion, names in words['lesion'].items():
        for name in names:
            text = PROMPTS.class_template.format(**{'class': name})
            if lesion == NORMAL:
                text = f'{name.capitalize()} in an endoscopic image'
            yield name, Claim(lesion), text
    for condition, names in words['condition'].items():
        for name in names:
            text = PROMPTS.confounder_template.format(domain=name)
            yield name, Claim(condition=condition), text
