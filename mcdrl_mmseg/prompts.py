"""PromptSet: lesion classes and imaging conditions in words, as texts for CLIP."""

from __future__ import annotations

import hashlib
import json
import random
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, product

from mcdrl_common import InputError

_FIELDS = {
    'class_template': {'class'},
    'confounder_template': {'domain'},
    'class_confounder_template': {'class', 'domain'},
}
_SHUFFLE_TRIES = 20


class PromptError(InputError, ValueError):
    """A prompt set that cannot be used; the message names key and value."""


def _template_fields(key: str, template: str) -> set[str]:
    if not isinstance(template, str):
        raise PromptError(f'prompts.{key}={template!r} must be a string.')
    _check_encodable(key, template)
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise PromptError(
            f'prompts.{key}={template!r} is not a valid template: {error}. '
            'Write literal braces as {{ and }}.'
        ) from None
    if any(spec or conversion for _, _, spec, conversion in parsed):
        raise PromptError(
            f'prompts.{key}={template!r} formats a field with ":" or "!". Write only '
            'the name of the field in the braces.'
        )
    return {name for _, name, _, _ in parsed if name is not None}


def _check_encodable(key: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptError(
            f'prompts.{key}={text!r} contains a character that UTF-8 cannot encode, '
            f'at position {error.start}. Remove it.'
        ) from None


def _check_names(key: str, names: Sequence[str]) -> None:
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if not listed or not all(isinstance(name, str) for name in names):
        raise PromptError(f'prompts.{key}={names!r} must be a list of strings.')
    for name in names:
        _check_encodable(key, name)
        if not name.strip():
            raise PromptError(
                f'prompts.{key} holds an empty prompt ({list(names)!r}): '
                'remove it or write its words.'
            )
    seen: dict[str, str] = {}
    for name in names:
        folded = ' '.join(name.lower().split())
        if folded in seen:
            raise PromptError(
                f'prompts.{key} lists {name!r} twice (first as {seen[folded]!r}). '
                'All prompts must be different.'
            )
        seen[folded] = name


@dataclass(frozen=True)
class PromptSet:
    """Texts of one modality: what lesions are called and how images may look.

    The texts follow MCDRL's three templates (arXiv 2508.05008): per class, per
    confounder, and per pair of both. Another modality needs another prompt set, not
    other code.

    Args:
        classes: Names of the K lesion classes.
        confounders: Family name -> names of its imaging conditions; the families
            are concatenated in order to the M entries of the dictionary.
        background_prompts: Whole texts for images without lesion; may be empty.
        class_template: Text of one class, with the field ``{class}``.
        confounder_template: Text of one confounder, with the field ``{domain}``.
        class_confounder_template: Text of a pair, with both fields.

    Raises:
        PromptError: No classes or confounders, an empty or repeated name, or a
            template without its field or with an unknown one.
    """

    classes: tuple[str, ...]
    confounders: Mapping[str, tuple[str, ...]]
    background_prompts: tuple[str, ...] = ()
    class_template: str = 'A {class} in an endoscopic image'
    confounder_template: str = 'An endoscopy image with {domain}'
    class_confounder_template: str = 'A {class} with {domain}'

    def __post_init__(self) -> None:
        if not isinstance(self.confounders, Mapping):
            raise PromptError(
                'prompts.confounders must map family names to lists of imaging '
                f'conditions, got {type(self.confounders).__name__}.'
            )
        for key in ('classes', 'background_prompts'):
            _check_names(key, getattr(self, key))
            object.__setattr__(self, key, tuple(getattr(self, key)))
        families = {}
        for family, names in self.confounders.items():
            _check_names(f'confounders[{family!r}]', names)
            families[family] = tuple(names)
        names = tuple(name for members in families.values() for name in members)
        _check_names('confounders', names)
        if not self.classes:
            raise PromptError('prompts.classes is empty: name at least one lesion.')
        if not names:
            raise PromptError(
                'prompts.confounders is empty: name at least one imaging condition.'
            )
        object.__setattr__(self, 'confounders', families)
        for key, needed in _FIELDS.items():
            found = _template_fields(key, getattr(self, key))
            if found != needed:
                wanted = ' and '.join('{' + name + '}' for name in sorted(needed))
                raise PromptError(
                    f'prompts.{key}={getattr(self, key)!r} must hold exactly the '
                    f'field {wanted}, found {sorted(found) or "none"}.'
                )

    @classmethod
    def from_cfg(cls, cfg: PromptSet | Mapping) -> PromptSet:
        """Build from a config entry.

        Args:
            cfg: A mapping with the constructor's arguments as keys, or a PromptSet.

        Raises:
            PromptError: Not a mapping, an unknown or missing key, or an error of the
                constructor.
        """
        if isinstance(cfg, PromptSet):
            return cfg
        if not isinstance(cfg, Mapping):
            raise PromptError(
                f'prompts must be a dict of classes and confounders, got {cfg!r}.'
            )
        known = list(cls.__dataclass_fields__)
        unknown = sorted(set(cfg) - set(known), key=str)
        if unknown:
            raise PromptError(
                f'prompts has unknown keys {unknown}; known keys are {known}.'
            )
        missing = [key for key in ('classes', 'confounders') if key not in cfg]
        if missing:
            raise PromptError(f'prompts lacks the keys {missing}.')
        return cls(**cfg)

    @property
    def confounder_names(self) -> tuple[str, ...]:
        """The M imaging conditions, families joined in order."""
        return tuple(chain.from_iterable(self.confounders.values()))

    @property
    def class_texts(self) -> list[str]:
        """K texts of e_k."""
        return [self.class_template.format(**{'class': c}) for c in self.classes]

    @property
    def confounder_texts(self) -> list[str]:
        """M texts of z_m."""
        names = self.confounder_names
        return [self.confounder_template.format(domain=z) for z in names]

    @property
    def class_confounder_texts(self) -> list[str]:
        """K * M texts of t_km, class by class."""
        return [
            self.class_confounder_template.format(**{'class': c, 'domain': z})
            for c, z in product(self.classes, self.confounder_names)
        ]

    def label_mismatch(
        self, labels: Sequence[str], lesion_classes: Iterable[str]
    ) -> str | None:
        """Message if the classes do not fit the data, or None.

        Each lesion class of the data needs a prompt, matched by position or by name.

        Args:
            labels: The data's classes without the background, in the order of their
                labels.
            lesion_classes: Names of the lesion classes that the sites may show.

        Returns:
            What does not fit and what to do.
        """
        labels = tuple(labels)
        if len(labels) == len(self.classes):
            # Matched by position: names may be worded differently.
            if labels != self.classes and sorted(labels) == sorted(self.classes):
                return (
                    'The training data labels its lesion classes in the order '
                    f'{labels}, but prompts.classes is {self.classes}: classes would '
                    'be aligned with the texts of other classes. Write '
                    'prompts.classes in the order of the labels.'
                )
            return None
        missing = sorted(set(lesion_classes) - set(self.classes))
        if missing:
            return (
                f'The training sites hold lesion classes {missing} that have no '
                'prompt: add them to prompts.classes, which names '
                f'{list(self.classes)}, or correct lesion_classes of the sites.'
            )
        return None

    def shuffled(self, seed: int) -> PromptSet:
        """The same set with the letters of every name shuffled.

        A control: the prompts keep their number and letters, but lose spaces and
        meaning. Class names are kept, so region selection does not change. If the
        letters of a name allow no further order, a letter is added.

        Args:
            seed: Seed of the shuffle.
        """
        rng = random.Random(seed)
        taken: set[str] = set()

        def shuffle(name: str) -> str:
            letters = list(name.replace(' ', ''))
            while True:
                for _ in range(_SHUFFLE_TRIES):
                    rng.shuffle(letters)
                    word = ''.join(letters)
                    if word != name and word.lower() not in taken:
                        taken.add(word.lower())
                        return word
                letters.append(rng.choice(string.ascii_lowercase))

        confounders = {
            family: tuple(shuffle(name) for name in names)
            for family, names in self.confounders.items()
        }
        return replace(self, confounders=confounders)

    def to_dict(self) -> dict:
        """The constructor's arguments as plain data."""
        return asdict(self)

    def fingerprint(self, **sources: str) -> str:
        """Fingerprint of the texts and of the tower that embeds them.

        Args:
            **sources: Further strings that the embeddings depend on, as the text
                tower's name and a digest of its weights.

        Returns:
            SHA-256 as 64 hexadecimal digits; equal for equal texts and sources.
        """
        content = {
            'texts': [
                self.class_texts,
                self.confounder_texts,
                self.class_confounder_texts,
                list(self.background_prompts),
            ],
            'sources': sources,
        }
        encoded = json.dumps(content, sort_keys=True, ensure_ascii=True).encode()
        return hashlib.sha256(encoded).hexdigest()
