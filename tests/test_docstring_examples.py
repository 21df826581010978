"""The docstring of every registered class shows how a config uses it."""

import ast
import doctest
import inspect
import re
from collections.abc import Iterator

import mmengine.registry
import mmseg.registry
import pytest
from mmengine.registry import Registry
from mmseg.utils import register_all_modules

import mcdrl_mmseg  # noqa: F401, registers

PACKAGE = 'mcdrl_mmseg'
SECTION = re.compile(r'^Examples?:\n((?:(?:[ \t].*)?\n?)*)', re.MULTILINE)

register_all_modules()


def all_registries() -> Iterator[Registry]:
    for module in (mmseg.registry, mmengine.registry):
        for value in vars(module).values():
            if isinstance(value, Registry):
                yield value


REGISTERED = {
    # By the class's own name: it may also be registered under an older name.
    cls.__name__: cls
    for registry in all_registries()
    for cls in registry.module_dict.values()
    if getattr(cls, '__module__', '').partition('.')[0] == PACKAGE
}
FOUND_BY_NAME = {
    name: cls
    for registry in all_registries()
    for name, cls in registry.module_dict.items()
    if inspect.isclass(cls)
}


def example_of(cls: type) -> str:
    """Code of the docstring's example, without the prompts."""
    section = SECTION.search(inspect.cleandoc(cls.__doc__ or ''))
    assert section, f'{cls.__name__} has no "Examples:" in its docstring'
    parts = doctest.DocTestParser().get_examples(section[1])
    return ''.join(part.source for part in parts)


def components(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    """Type and other keys of every ``dict(type='...', ...)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'dict':
            values = {key.arg: key.value for key in node.keywords}
            if isinstance(values.get('type'), ast.Constant):
                yield values['type'].value, set(filter(None, values)) - {'type'}


def accepted_arguments(cls: type) -> set[str] | None:
    """Keys that a config of the class may have; None if any key is allowed."""
    names: set[str] = set()
    for ancestor in inspect.getmro(cls):
        if '__init__' not in vars(ancestor):
            continue
        parameters = inspect.signature(ancestor.__init__).parameters.values()
        names |= {parameter.name for parameter in parameters}
        further = {p.name for p in parameters if p.kind is p.VAR_KEYWORD}
        if not further:
            return names
        # ``**kwargs`` go to the next ancestor; torch's ``**defaults`` may be anything.
        if further != {'kwargs'}:
            return None
    return None


def test_registered_classes_of_every_kind_are_found():
    for name in (
        'CausalInterventionHead',
        'CLIPVisionBackbone',
        'CausalAlignmentLoss',
        'AugmentingDataPreProcessor',
        'ConfounderDictionaryHook',
        'EndoscopySiteDataset',
        'LoadLesionMask',
        'SiteLesionMetric',
        'ZeroOptimizer',
        'BFloat16OptimWrapper',
        'MCDRLRunner',
    ):
        assert name in REGISTERED


@pytest.mark.parametrize('name', sorted(REGISTERED))
def test_every_registered_class_has_an_example_that_names_it(name):
    tree = ast.parse(example_of(REGISTERED[name]))
    assert tree.body
    named = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert name in named


@pytest.mark.parametrize('name', sorted(REGISTERED))
def test_examples_have_only_existing_types_and_arguments(name):
    for component, keys in components(ast.parse(example_of(REGISTERED[name]))):
        assert component in FOUND_BY_NAME, f'nothing is registered as {component}'
        accepted = accepted_arguments(FOUND_BY_NAME[component])
        if accepted is not None:
            assert keys <= accepted, f'{component} has no {sorted(keys - accepted)}'
