"""The config inside a checkpoint, read as data: nothing of it is executed.

MMEngine stores the config of a run in its checkpoints as Python text and executes that
text to read it. A checkpoint may come from an untrusted source. Therefore this module
parses the text and accepts only what MMEngine writes: assignments of literals. It also
checks every ``type``, since MMEngine imports and calls any name that no registry has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.registry import FUNCTIONS, Registry
from mmseg import registry as mmseg_registry
from mmseg.registry import DATASETS, MODELS, TRANSFORMS, WEIGHT_INITIALIZERS

from mcdrl_common.config_text import CheckpointConfigError, config_entries
from mcdrl_common.printable import short_repr

from .inference_config import SCOPES, with_parents, without_training

# All entries that inference needs; the rest of a training config is not parsed.
_NEEDED = (
    'custom_imports',
    'default_scope',
    'model',
    'test_dataloader',
    'test_pipeline',
    'dataset_type',
)
_PACKAGE = 'mcdrl_mmseg'
_ALL = (
    FUNCTIONS,
    *(value for value in vars(mmseg_registry).values() if isinstance(value, Registry)),
)
# MMPretrain's other components are not for segmentation, and some execute their
# arguments: torchvision's transforms a dtype, Hugging Face's models a name.
_FROM_MMPRETRAIN = 'mmpretrain.models.backbones.'


class CheckpointConfig(Config):
    """A config from a checkpoint, and so possibly from an untrusted source.

    Attributes:
        source: Name of the checkpoint's file.
    """

    source: str = 'checkpoint'


def parse_config_text(text: str, source: str) -> CheckpointConfig:
    """Read a config text without running it.

    Args:
        text: ``Config.pretty_text``, as MMEngine stores it in a checkpoint.
        source: Name of the file, for messages.

    Returns:
        The entries that inference needs, to be built inside
        :func:`~mcdrl_mmseg.apis.sealing.sealed_building.sealed`.

    Raises:
        CheckpointConfigError: The text contains more than literals, a component that is
            not registered, or an import of another package.
    """
    entries = config_entries(text, source, _NEEDED)
    if not isinstance(entries.get('model'), dict):
        raise CheckpointConfigError(
            f'{source}: its config has no model. Name a config file with --config.'
        )
    if 'type' not in entries['model']:
        raise CheckpointConfigError(
            f"{source}: model in its config has no 'type'. Name a config file with "
            '--config.'
        )
    _check_imports(entries.pop('custom_imports', None), source)
    scope = entries.setdefault('default_scope', 'mmseg')
    if scope != 'mmseg':
        raise CheckpointConfigError(
            f"{source}: default_scope={scope!r} in its config must be 'mmseg'. Name a "
            'config file with --config.'
        )
    pipeline = _by_names(_test_pipeline(entries, source), (TRANSFORMS,))
    known = (MODELS, WEIGHT_INITIALIZERS)
    model = without_training(_by_names(entries['model'], known))
    _check_types(model, 'model', known, source)
    _check_types(pipeline, 'test_pipeline', (TRANSFORMS,), source)
    config = CheckpointConfig(
        dict(model=model, test_pipeline=pipeline, default_scope=scope)
    )
    object.__setattr__(config, 'source', source)
    return config


def parse_test_dataset(text: str, source: str) -> dict[str, Any]:
    """Read the data set of a run's test from its config text, without running it.

    Args:
        text: ``Config.pretty_text``, as MMEngine writes it into work folders.
        source: Name of the file, for messages.

    Returns:
        The config of the data set, of registered data sets and transforms only.

    Raises:
        CheckpointConfigError: As :func:`parse_config_text`, or there is no test data
            set.
    """
    dataset = _test_dataset(config_entries(text, source, _NEEDED), source)
    if not dataset:
        raise CheckpointConfigError(
            f'{source}: its config has no test_dataloader.dataset. Name a config file '
            'with --config.'
        )
    place = 'test_dataloader.dataset'
    dataset = _by_names(dataset, (DATASETS, TRANSFORMS))
    _check_types(dataset, place, (DATASETS, TRANSFORMS), source)
    return dataset


def _expect(fits: bool, key: str, value: Any, expected: str, source: str) -> None:
    if not fits:
        raise CheckpointConfigError(
            f'{source}: {key}={short_repr(value)} in its config must be {expected}. '
            'Name a config file with --config.'
        )


def _check_imports(custom_imports: Any, source: str) -> None:
    if custom_imports is None:
        return
    is_dict = isinstance(custom_imports, dict)
    named = custom_imports.get('imports') if is_dict else custom_imports
    names = [named] if isinstance(named, str) else named or []
    _expect(
        is_dict and isinstance(names, list | tuple),
        'custom_imports',
        custom_imports,
        'dict(imports=[...])',
        source,
    )
    for name in names:
        key = 'custom_imports.imports'
        _expect(isinstance(name, str), key, names, 'a list of names', source)
        if name.partition('.')[0] != _PACKAGE:
            raise CheckpointConfigError(
                f'{source}: its config imports {name!r} (custom_imports). The config '
                f'of a checkpoint may import only {_PACKAGE}. If you trust its origin, '
                'name its config file with --config.'
            )


def _test_dataset(entries: Mapping, source: str) -> dict[str, Any]:
    """The test data set; empty if there is none."""
    loader = entries.get('test_dataloader') or {}
    _expect(isinstance(loader, dict), 'test_dataloader', loader, 'a dict', source)
    dataset = loader.get('dataset') or {}
    key = 'test_dataloader.dataset'
    _expect(isinstance(dataset, dict), key, dataset, 'a dict', source)
    return dataset


def _test_pipeline(entries: Mapping, source: str) -> list:
    key, pipeline = 'test_pipeline', entries.get('test_pipeline')
    if pipeline is None:
        key = 'test_dataloader.dataset.pipeline'
        pipeline = _test_dataset(entries, source).get('pipeline') or []
    _expect(isinstance(pipeline, list | tuple), key, pipeline, 'a list', source)
    for number, step in enumerate(pipeline):
        fits = isinstance(step, dict) and 'type' in step
        _expect(fits, f'{key}[{number}]', step, "a dict with a 'type'", source)
    return list(pipeline)


def _by_names(value: Any, registries: Sequence[Registry]) -> Any:
    """A copy in which every ``type`` is a registered name.

    MMEngine writes the classes of its pure Python configs as ``package.module.Class``,
    and imports them to build them. Here nothing is imported: only classes that are
    already imported and registered are replaced by their registered name.
    """
    if isinstance(value, Mapping):
        named = {key: _by_names(item, registries) for key, item in value.items()}
        if isinstance(named.get('type'), str):
            named['type'] = _registered_name(named['type'], registries)
        return named
    if isinstance(value, list | tuple):
        return type(value)(_by_names(item, registries) for item in value)
    return value


def _registered_name(path: str, registries: Sequence[Registry]) -> str:
    """Registered name of the class at a path; the path itself if not registered."""
    module, _, plain = path.rpartition('.')
    if not module or module in SCOPES:
        return path
    for registry in registries:
        if module.startswith('mmpretrain.'):
            with registry.switch_scope_and_registry('mmpretrain') as scoped:
                scoped.import_from_location()
                places = [scoped]
        else:
            registry.import_from_location()
            places = [*with_parents(registry)]
        # Not getattr: a module's __getattr__ may import something.
        found = vars(sys.modules[module]).get(plain) if module in sys.modules else None
        for place in places if found is not None else ():
            for name, cls in place.module_dict.items():
                # By identity: another package may register a class of the same name.
                if cls is found:
                    return f'{place.scope}.{name}'
    return path


def _check_types(
    value: Any, place: str, registries: Sequence[Registry], source: str
) -> None:
    """Refuse every ``type`` that none of the registries has."""
    for where, key, name in _names(value, place):
        known = name in SCOPES if key == '_scope_' else _is_known(name, registries)
        if not known:
            raise CheckpointConfigError(
                f'{source}: {where}.{key}={name!r} in its config is not a registered '
                f'component of MMSegmentation, MMPretrain or {_PACKAGE}, and was not '
                'imported. If the component is yours, name the config file with '
                '--config.'
            )


def is_known_component(name: Any) -> bool:
    """Whether a ``type`` names a component of some registry of MMSegmentation.

    Args:
        name: Value of ``type`` in a config.
    """
    return _is_known(name, _ALL)


def _is_known(name: Any, registries: Sequence[Registry]) -> bool:
    if not isinstance(name, str):
        return False
    scope, _, plain = name.rpartition('.')
    allowed = not scope or scope in SCOPES
    return allowed and any(_is_registered(plain, scope, r) for r in registries)


def _names(value: Any, place: str) -> Iterator[tuple[str, str, Any]]:
    """Every ``type`` below a value, with its full key and ``_scope_``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in ('type', '_scope_'):
                yield place, key, item
            yield from _names(item, f'{place}.{key}')
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _names(item, f'{place}[{number}]')


def _is_registered(name: str, scope: str, registry: Registry) -> bool:
    if scope:
        # Importing an allowed package fills its registries.
        with registry.switch_scope_and_registry(scope) as scoped:
            scoped.import_from_location()
            if scoped.scope != scope or name not in scoped.module_dict:
                return False
            origin = getattr(scoped.module_dict[name], '__module__', '')
            return scope != 'mmpretrain' or origin.startswith(_FROM_MMPRETRAIN)
    registry.import_from_location()
    return any(name in place.module_dict for place in with_parents(registry))
