"""Arguments that the model's constructors refuse, found by building it on ``meta``."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mcdrl_mmseg.clip.meta_build import meta_build

from .config_components import Component
from .config_problem import ConfigProblem

# Parts of a segmentor. Each is built alone, so that one problem does not hide another.
_PARTS = ('data_preprocessor', 'backbone', 'neck', 'decode_head', 'auxiliary_head')
# Entries that name weights, which would be read or downloaded.
_WEIGHT_KEYS = frozenset({'init_cfg', 'pretrained', 'checkpoint', 'from_pretrained'})
_MAX_PROBLEMS = 10
# Prefix that MMEngine adds to a constructor's message.
_BUILDER_PREFIX = re.compile(r'^(class `\w+` in \S+: )+')


def building_problems(
    cfg: Mapping[str, Any],
    components: Sequence[Component],
    known: Sequence[ConfigProblem],
) -> Iterator[ConfigProblem]:
    """Errors of the constructors of the model's parts.

    A refused entry is removed and the part built again, until building succeeds. No
    weights are read: only shapes matter.

    Args:
        cfg: Experiment config.
        components: Its components.
        known: Problems found before; their entries are removed first.
    """
    model = cfg.get('model')
    if not isinstance(model, Mapping):
        return
    init_default_scope('mmseg')
    for key, number, part in _parts(model):
        if isinstance(part.get('type'), str):
            place = f'model.{key}' if number is None else f'model.{key}[{number}]'
            yield from _refused(place, part, components, known)


def _parts(model: Mapping[str, Any]) -> Iterator[tuple[str, int | None, Mapping]]:
    """Key of each part, its index in a list of parts (else None), and its config."""
    for key in _PARTS:
        value = model.get(key)
        several = isinstance(value, (list, tuple))
        for number, part in enumerate(list(value or ()) if several else [value]):
            if isinstance(part, Mapping):
                yield key, number if several else None, part


def parameter_names(model: Mapping[str, Any]) -> list[str]:
    """Names of a segmentor's trained parameters, found by building it on ``meta``.

    Args:
        model: Its config.

    Returns:
        The names; empty if a part cannot be built like this.
    """
    names = []
    init_default_scope('mmseg')
    for key, number, part in _parts(model):
        left = _without_weights(part)
        if _names_a_file(left):
            return []
        try:
            with meta_build():
                built = MODELS.build(ConfigDict(left))
        except Exception:
            return []  # reported by building_problems
        place = key if number is None else f'{key}.{number}'
        parameters = built.named_parameters()
        names += [f'{place}.{name}' for name, one in parameters if one.requires_grad]
    return names


def _refused(
    place: str,
    part: Mapping,
    components: Sequence[Component],
    known: Sequence[ConfigProblem],
) -> Iterator[ConfigProblem]:
    left = _without_weights(part)
    inside = [one.place for one in known if f'{one.place}.'.startswith(f'{place}.')]
    for entry in inside:
        _leave_out(left, entry.removeprefix(place))
    if _names_a_file(left):
        return
    for _ in range(_MAX_PROBLEMS):
        try:
            with meta_build():
                # Query-based heads read their entries as attributes.
                MODELS.build(ConfigDict(copy.deepcopy(left)))
            return
        except Exception as error:
            cause = error.args[0] if isinstance(error, KeyError) else error
            message = _BUILDER_PREFIX.sub('', str(cause))
            # Some constructors compute with their weights: they cannot run on meta.
            if 'meta' in message.lower():
                return
            entry = _entry_of(message, place, error.__traceback__, components)
            # The part may only miss an entry that was removed: not a new problem.
            if inside and (entry in inside or isinstance(error, TypeError | KeyError)):
                return
            kind = '' if isinstance(error, ValueError) else f'{type(error).__name__}: '
            yield ConfigProblem(entry, f'{kind}{message}', '')
            inside.append(entry)
            if not _leave_out(left, entry.removeprefix(place)):
                return


def _without_weights(value: Any) -> Any:
    """A copy as plain dicts, without entries that name weights."""
    if isinstance(value, Mapping):
        kept = {k: v for k, v in value.items() if k not in _WEIGHT_KEYS}
        left = {key: _without_weights(item) for key, item in kept.items()}
        if _fetches_by_default(left.get('type')):
            left['pretrained'] = False
        return left
    if isinstance(value, (list, tuple)):
        return type(value)(_without_weights(item) for item in value)
    return copy.deepcopy(value)


def _fetches_by_default(name: Any) -> bool:
    """Whether a class loads published weights by default, as ``TIMMBackbone`` does."""
    cls = MODELS.get(name) if isinstance(name, str) and name else None
    if cls is None:
        return False
    pretrained = inspect.signature(cls).parameters.get('pretrained')
    return pretrained is not None and pretrained.default is True


def _names_a_file(value: Any) -> bool:
    """Whether a value holds a URL or weight file that a constructor may read."""
    if isinstance(value, Mapping):
        return any(_names_a_file(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_names_a_file(item) for item in value)
    return isinstance(value, str) and bool(
        re.search(r'://|\.(pth|pt|ckpt|safetensors|npy)$', value)
    )


def _leave_out(cfg: dict, entry: str) -> bool:
    """Remove an entry ``.a.b[0].c`` from a config; returns whether it was there."""
    keys = [int(n) if n else name for name, n in re.findall(r'(\w+)|\[(\d+)\]', entry)]
    if not keys:
        return False
    node: Any = cfg
    try:
        for key in keys[:-1]:
            node = node[key]
        del node[keys[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _entry_of(
    message: str,
    place: str,
    traceback: TracebackType | None,
    components: Sequence[Component],
) -> str:
    """The entry of the config that a constructor's message refers to.

    Searched in the innermost component that was being built: a key that occurs in the
    message as ``key=``, else as a word.
    """
    within = [one for one in components if f'{one.place}.'.startswith(f'{place}.')]
    by_type = {str(one.cfg.get('type')): one for one in reversed(within)}
    found = [by_type[name] for name in _types_built(traceback) if name in by_type]
    if not found:
        return place
    entries = dict(_entries(found[-1].place, found[-1].cfg))
    for pattern in (r'(?<!\w){}=', r'\b{}\b'):
        for entry, key in entries.items():
            if re.search(pattern.format(re.escape(key)), message):
                return entry
    return found[-1].place


def _types_built(traceback: TracebackType | None) -> Iterator[str]:
    """Types of the components that were being built, the innermost last."""
    while traceback is not None:
        frame = traceback.tb_frame
        built = frame.f_locals.get('cfg')
        if frame.f_code.co_name == 'build_from_cfg' and isinstance(built, Mapping):
            name = built.get('type')
            if isinstance(name, str):
                yield name
        traceback = traceback.tb_next


def _entries(place: str, cfg: Mapping) -> Iterator[tuple[str, str]]:
    """Entries of a component and of its mappings without a type, with their keys."""
    for key, value in cfg.items():
        if not isinstance(key, str) or key == 'type':
            continue
        if isinstance(value, Mapping) and 'type' not in value:
            yield from _entries(f'{place}.{key}', value)
        yield f'{place}.{key}', key
