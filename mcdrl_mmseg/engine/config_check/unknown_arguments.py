"""Keys that are not an argument of their class."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from mmengine.registry import LOOPS, OPTIM_WRAPPERS, PARAM_SCHEDULERS
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch.utils.data import DataLoader

from mcdrl_common.sites import Site, is_list_of_names
from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.datasets.endoscopy_sites import EndoscopySiteDataset
from mcdrl_mmseg.models import (
    CausalIntervention,
    CausalInterventionHead,
    CLIPGuidedBackbone,
    CLIPVisionBackbone,
    ConfounderDictionary,
    PromptTuningHead,
)
from mcdrl_mmseg.prompts import PromptSet

from .config_components import Component, registered_names
from .config_problem import ConfigProblem, did_you_mean

_META_KEYS = frozenset({'type', '_scope_', '_delete_'})
# Keys that the builder removes before it calls the constructor.
_BUILDER_KEYS = {
    HOOKS.name: {'priority'},
    OPTIM_WRAPPERS.name: {'constructor', 'paramwise_cfg', 'optimizer'},
    PARAM_SCHEDULERS.name: {'convert_to_iter_based'},
    LOOPS.name: {'by_epoch'},
}
# Arguments that are configs of other classes.
_SLOTS: dict[type, tuple[str, ...]] = {
    CausalInterventionHead: (
        'predictor',
        'dictionary',
        'region_selector',
        'intervention',
        'loss_causal',
        'loss_contrast',
    ),
    PromptTuningHead: ('predictor',),
    CLIPGuidedBackbone: ('backbone',),
}
_SLOT_KEYS = frozenset(key for keys in _SLOTS.values() for key in keys)
# Arguments that the head passes.
_FILLED_IN = {CausalIntervention: ('embed_dims', 'dictionary_dims')}
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_LOADER_KEYS = {'dataset', 'batch_sampler', 'num_batch_per_epoch'}
# Top-level variables may have any name: only near misses of a known key are reported.
_SLIP = 0.9
_NEAR, _FAR = 0.85, 0.7
_SHORTEST = 7


def argument_problems(
    cfg: Mapping[str, Any], parts: Iterable[Component]
) -> Iterator[ConfigProblem]:
    """Unknown types and keys, with the nearest known one.

    For a class that passes on any keyword, only near misses are reported.
    """
    yield from _top_level(cfg)
    for loader in _LOADERS:
        if isinstance(cfg.get(loader), Mapping):
            known = accepted(DataLoader)[0] | _LOADER_KEYS
            yield from _unknown(loader, cfg[loader], known, 'A data loader')
    for part in parts:
        yield from _parts_without_type(part)
        if part.cls is None:
            yield from _unknown_type(part)
            continue
        yield from _missing(part)
        known, is_closed = accepted(part.cls)
        known = known | _META_KEYS | _BUILDER_KEYS.get(part.registry.name, set())
        title = getattr(part.cls, '__name__', str(part.cls))
        yield from _unknown(part.place, part.cfg, known, title, only_near=not is_closed)
        yield from _own_mappings(part)


def _own_mappings(part: Component) -> Iterator[ConfigProblem]:
    """Mappings without a type that the plug-in's own classes take."""
    for kind, key, target in (
        (ConfounderDictionary, 'prompts', PromptSet),
        (CLIPGuidedBackbone, 'clip', CLIPVisionBackbone),
        (PromptTuningHead, 'text', CLIPSpec),
    ):
        if part.is_a(kind) and isinstance(part.cfg.get(key), Mapping):
            known = accepted(target)[0] | _META_KEYS
            yield from _unknown(part.at(key), part.cfg[key], known, f'{key!r}')
    sites = part.cfg.get('sites')
    if part.is_a(EndoscopySiteDataset) and isinstance(sites, (list, tuple)):
        known = accepted(Site)[0]
        for number, site in enumerate(sites):
            if isinstance(site, Mapping):
                place = part.at(f'sites[{number}]')
                yield from _unknown(place, site, known, 'A site')
                lesions = site.get('lesion_classes', ())
                if not is_list_of_names(lesions):
                    what = f'is {lesions!r}.'
                    remedy = 'Give a list of names.'
                    yield ConfigProblem(f'{place}.lesion_classes', what, remedy)


def _unknown(
    place: str,
    cfg: Mapping,
    known: Iterable[str],
    title: str,
    only_near: bool = False,
) -> Iterator[ConfigProblem]:
    for key in cfg:
        if key in known:
            continue
        # If other keys may be valid, only a very similar key counts as a typo.
        cutoff = _NEAR if only_near else _FAR
        near = did_you_mean(key, known, cutoff) if isinstance(key, str) else None
        if near:
            remedy = f'Did you mean {near!r}?'
        elif only_near:
            continue
        else:
            names = sorted(set(known) - _META_KEYS)
            remedy = f'Remove it. Known arguments: {", ".join(names)}.'
        what = f'{title} has no argument {key!r}.'
        yield ConfigProblem(f'{place}.{key}', what, remedy)


def _parts_without_type(part: Component) -> Iterator[ConfigProblem]:
    for kind, keys in _SLOTS.items():
        for key in keys if part.is_a(kind) else ():
            entries = part.cfg.get(key)
            if isinstance(entries, Mapping) and entries.get('type') is None:
                what = f"{key!r} lacks 'type', the name of its class."
                yield ConfigProblem(part.at(key), what, "Add type='...'.")


def _unknown_type(part: Component) -> Iterator[ConfigProblem]:
    name = part.cfg['type']
    if not isinstance(name, str):
        what = f'is {name!r}.'
        yield ConfigProblem(part.at('type'), what, 'Give the name of a class.')
        return
    if '.' in name:
        return  # a class of another package, imported when it is built
    near = did_you_mean(name, registered_names(part.registry), _FAR)
    # Model configs contain other kinds of dicts, whose types are registered elsewhere.
    if near or part.place.rpartition('.')[2] in _SLOT_KEYS:
        what = f'{name!r} is not registered as a {part.registry.name}.'
        remedy = (
            f'Did you mean {near!r}?' if near else 'Correct the name, or import it.'
        )
        yield ConfigProblem(part.at('type'), what, remedy)


def _missing(part: Component) -> Iterator[ConfigProblem]:
    """Missing arguments of the plug-in's classes that have no default."""
    if not part.is_ours:
        return
    given = {*part.cfg, *_FILLED_IN.get(part.cls, ())}
    for name, parameter in inspect.signature(part.cls).parameters.items():
        is_named = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if is_named and parameter.default is parameter.empty and name not in given:
            what = f'{part.cls.__name__} lacks its argument {name!r}.'
            yield ConfigProblem(part.at(name), what, 'Add it.')


def _top_level(cfg: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    known = accepted(Runner)[0]
    long = [name for name in known if len(name) >= _SHORTEST]
    for key in cfg:
        near = None if key in known else did_you_mean(key, long, _SLIP)
        # A numbered name, as train_dataloader2, is a variable.
        if near and re.sub(r'[\d_]+$', '', key) != near:
            what = f'nothing reads the variable {key!r}.'
            yield ConfigProblem(key, what, f'Did you mean {near!r}?')


@cache
def accepted(cls: Callable) -> tuple[frozenset[str], bool]:
    """The keyword arguments of a class.

    Args:
        cls: A class or function.

    Returns:
        Their names, and whether these are all. If a class passes keywords on, the names
        include the arguments of its base classes.
    """
    if not isinstance(cls, type):
        return _names([cls])
    inits = [base.__dict__.get('__init__') for base in cls.__mro__[:-1]]
    return _names([init for init in inits if init is not None])


def _names(functions: Iterable[Callable]) -> tuple[frozenset[str], bool]:
    names: set[str] = set()
    for number, function in enumerate(functions):
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return frozenset(names), False
        names |= {
            p.name
            for p in parameters
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        }
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return frozenset(names - {'self'}), number == 0
    return frozenset(names - {'self'}), False
