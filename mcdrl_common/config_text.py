"""The text of a config as data: nothing of it is executed.

MMEngine stores the config of a run in its checkpoints as Python text and executes that
text to read it. A checkpoint may come from an untrusted source. Therefore this module
parses the text and accepts only what MMEngine writes: assignments of literals.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Collection
from typing import Any

from mcdrl_common import InputError

# Configs of MMSegmentation's models have some 10,000 characters; a parsed text takes
# about a hundred times its size in memory.
_MAX_CHARACTERS = 2**20


class CheckpointConfigError(InputError, ValueError):
    """A config text that is refused; the message names the file and the entry."""


def config_entries(
    text: str, source: str | os.PathLike, needed: Collection[str]
) -> dict[str, Any]:
    """Read entries of a config text.

    Args:
        text: ``Config.pretty_text``, as MMEngine stores it in a checkpoint.
        source: Its file, for messages.
        needed: Their names; the other entries need not be literals.

    Returns:
        Those of them that the text has.

    Raises:
        CheckpointConfigError: The text contains more than literals.
    """
    if len(text) > _MAX_CHARACTERS:
        raise CheckpointConfigError(
            f'{source}: its config has {len(text)} characters; the limit is '
            f'{_MAX_CHARACTERS}. Name a config file with --config.'
        )
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CheckpointConfigError(
            f'{source}: its config is not valid Python ({error}). Name a config file '
            'with --config.'
        ) from None
    entries = {}
    for statement in statements:
        name, value = _assignment(statement, source)
        if name in needed:
            entries[name] = _literal(value, name, source)
    return entries


def _assignment(statement: ast.stmt, source: str | os.PathLike) -> tuple[str, ast.expr]:
    if (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name)
    ):
        return statement.targets[0].id, statement.value
    raise CheckpointConfigError(
        f'{source}: line {statement.lineno} of its config is a statement of type '
        f'{type(statement).__name__}; MMEngine only writes NAME = VALUE. It was not '
        'run. If you trust its origin, name its config file with --config.'
    )


class _DictCalls(ast.NodeTransformer):
    """Turns ``dict(a=1)``, as MMEngine writes mappings, into ``{'a': 1}``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Turn a call of dict with keywords into a dict literal; keep other calls."""
        self.generic_visit(node)
        named = all(keyword.arg is not None for keyword in node.keywords)
        if not (isinstance(node.func, ast.Name) and node.func.id == 'dict' and named):
            return node
        keys: list[ast.expr | None] = [ast.Constant(k.arg) for k in node.keywords]
        values = [keyword.value for keyword in node.keywords]
        if not node.args:
            return ast.Dict(keys, values)
        # MMEngine writes dict({'a-b': 1}) for keys that are no identifiers.
        if len(node.args) == 1 and isinstance(node.args[0], ast.Dict) and not keys:
            return node.args[0]
        return node


def _literal(node: ast.expr, name: str, source: str | os.PathLike) -> Any:
    try:
        value = ast.literal_eval(_DictCalls().visit(node))
        _check_plain(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointConfigError(
            f'{source}: {name} in its config holds more than strings, numbers, lists '
            f'and dicts ({error}). Name a config file with --config.'
        ) from None
    return value


def _check_plain(value: Any) -> None:
    """Refuse sets and bytes, which no check covers, and keys that are not strings."""
    if isinstance(value, dict):
        for key, item in value.items():
            if 'type' in value and not isinstance(key, str):
                raise ValueError(f'the key {key!r} of a component is not a string')
            _check_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_plain(item)
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f'{type(value).__name__} {value!r}')
