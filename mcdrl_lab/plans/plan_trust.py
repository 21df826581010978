"""What an untrusted plan may contain: registered types and plain data."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mcdrl_common.printable import printable
from mcdrl_lab.errors import ProtocolError

_CONFIGS = 'configs'
_OWN_PACKAGE = 'mcdrl_mmseg'
_DOTTED = re.compile(r'([A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)+')
# By the ending MMEngine unpickles a file, or loads YAML that can create objects.
_PICKLES = ('.pkl', '.pickle', '.yml', '.yaml')
_URL = re.compile(r'[A-Za-z][\w+.-]*://')
_FOLDERS = ('out_dir', 'work_dir')
# MMEngine writes keys into a config between quotes without escaping, and later runs
# the config as Python code.
_UNQUOTABLE = re.compile(r'[\'"\\\n\r]|\{\{')


class UntrustedPlanError(ProtocolError):
    """An untrusted plan could run code; the message names plan, place and value.

    Args:
        plan: The plan's file.
        place: Place in the plan, as a dotted key.
        problem: What is wrong there.
    """

    def __init__(self, plan: Path, place: str, problem: str) -> None:
        super().__init__(
            f'{plan}: {place} {problem}. Nothing was run. If you trust the origin of '
            'the plan, add --trust.'
        )


def own_tree(plan: Path) -> Path:
    """The folder whose configs a plan may name.

    Args:
        plan: The plan's file.

    Returns:
        The nearest parent folder that is called ``configs``, as in this repository;
        without one, the plan's own folder.
    """
    plan = plan.resolve()
    return next((f for f in plan.parents if f.name == _CONFIGS), plan.parent)


def check_config_place(plan: Path, place: str, config: str | Path) -> None:
    """Refuse a config outside the plan's own folder tree: a config is a program.

    Args:
        plan: The plan's file.
        place: Where in the plan it is named.
        config: Path of the config.

    Raises:
        UntrustedPlanError: With links resolved, the config is neither in
            :func:`own_tree` nor among the package's own configs.
    """
    found = Path(config).resolve()
    package = importlib.util.find_spec(_OWN_PACKAGE)
    assert package is not None and package.origin is not None
    carried = Path(package.origin).parent / '.mim' / _CONFIGS
    folders = [own_tree(plan), carried.resolve()]
    if not any(found.is_relative_to(folder) for folder in folders):
        problem = f'is {config}, which lies outside {folders[0]}: a config is a program'
        raise UntrustedPlanError(plan, f'{place}.config', problem)


def check_options(plan: Path, place: str, options: Mapping[str, Any]) -> None:
    """Refuse config changes that could run or import code that is not registered.

    Args:
        plan: The plan's file.
        place: Where in the plan they are.
        options: Dotted config key -> value.

    Raises:
        UntrustedPlanError: A ``type`` that no registry knows, ``_base_``, an import of
            another package, another ``default_scope``, a string that names a Python
            object, a pickle or a URL, a template, a folder outside the working
            folder, or a YAML type that a config cannot contain.
    """
    for where, key, value in _entries(options, f'{place}.cfg_options'):
        problem = _problem_of_name(key) or _problem_of_value(str(key), value)
        if problem:
            raise UntrustedPlanError(plan, where, problem)


def _entries(value: Any, where: str, key: Any = '') -> Iterator[tuple[str, Any, Any]]:
    """Every value inside ``value``, with its place and its key."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _entries(item, f'{where}.{name}', name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _entries(item, f'{where}[{number}]', key)
    if where:
        yield where, key, value


def _problem_of_name(key: Any) -> str | None:
    if not isinstance(key, str | int):
        return f'has a key of type {type(key).__name__}'
    if str(key) != printable(str(key)):
        return 'has a key that is not valid text'
    return (
        'has a key with a quote, backslash, line break or template'
        if _UNQUOTABLE.search(str(key))
        else None
    )


def _problem_of_value(key: str, value: Any) -> str | None:
    last = key.rpartition('.')[2]
    if '_base_' in key.split('.'):
        return 'names another config'
    if last == 'imports':
        names = set(map(str, value if isinstance(value, list) else [value]))
        return (
            None if names <= {_OWN_PACKAGE} else f'={value!r} imports another package'
        )
    if last == 'default_scope' and value != 'mmseg':
        return f'={value!r} must be mmseg'
    if last in ('type', '_scope_'):
        return _problem_of_type(last, value)
    if last == 'decode_backend' and value == 'pickle':
        return f'={value!r} can run code when a file is read'
    if last in _FOLDERS and isinstance(value, str) and _leads_out(value):
        return f'={value!r} lies outside the working folder'
    if isinstance(value, str):
        return _problem_of_text(value)
    if value is None or isinstance(value, bool | int | float | list | Mapping):
        return None
    return f'is a {type(value).__name__}, which a config cannot contain'


def _leads_out(folder: str) -> bool:
    return Path(folder).expanduser().is_absolute() or '..' in Path(folder).parts


def _problem_of_type(key: str, value: Any) -> str | None:
    # Imported only here, since it takes seconds.
    from mcdrl_mmseg.apis.checkpoint_config import is_known_component
    from mcdrl_mmseg.apis.inference_config import SCOPES

    known = value in SCOPES if key == '_scope_' else is_known_component(value)
    return None if known else f'={value!r} is not a registered component'


def _problem_of_text(value: str) -> str | None:
    if value != printable(value):
        return f'={value!r} is not valid text: it has an unpaired surrogate'
    if '{{' in value:
        return f'={value!r} contains a template, which MMEngine fills in'
    if value.lower().endswith(_PICKLES):
        return (
            f'={value!r} names a pickle or YAML file, which can run code when it is '
            'read'
        )
    if _URL.search(value):
        return f'={value!r} contains a URL'
    dotted = _DOTTED.fullmatch(value)
    if dotted and importlib.util.find_spec(dotted[1]) is not None:
        return f'={value!r} names an object of the Python package {dotted[1]}'
    return None
