"""Any changed config is reported by the check, can be built, or is refused."""

import copy

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from mmseg.registry import MODELS

from mcdrl_mmseg.engine.config_check import (
    ConfigCheckError,
    check_config,
    find_problems,
)

FUZZ = settings(
    max_examples=70,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 9),
        st.floats(),
        st.sampled_from(['', 'attention', 'uniform', '0.5', 'FCNHead', '\x00']),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.text(max_size=4), inner, max_size=2),
    ),
    max_leaves=4,
)
ANYWHERE = (
    'model',
    'custom_hooks',
    'default_hooks',
    'train_cfg',
    'train_dataloader',
    'val_dataloader',
    'held_out_site',
)
PARTS = ('dictionary', 'region_selector', 'intervention')


@pytest.fixture(scope='module')
def plain(shipped) -> dict:
    return shipped('mcdrl').to_dict()


def places(node, path=()):
    """Paths to all entries of dicts and lists."""
    entries = ()
    if isinstance(node, dict):
        entries = node.items()
    elif isinstance(node, list):
        entries = enumerate(node)
    for key, item in entries:
        yield (*path, key)
        yield from places(item, (*path, key))


def change(data, cfg, roots):
    """Replace, remove or misspell one entry below a few."""
    found = [path for path in places(cfg) if path[: len(roots[0])] in roots]
    *parents, key = data.draw(st.sampled_from(sorted(found, key=str)))
    node = cfg
    for parent in parents:
        node = node[parent]
    how = data.draw(st.sampled_from(['replace', 'remove', 'misspell']))
    if how == 'replace' or not isinstance(key, str):
        node[key] = data.draw(VALUES)
    elif how == 'remove':
        del node[key]
    else:
        node[data.draw(st.sampled_from([key[:-1], key + 'x', '']))] = node.pop(key)


@pytest.mark.reliability('bad input', 'fuzz: any entry of a config replaced or removed')
@FUZZ
@given(st.data())
def test_after_any_change_the_check_completes_and_names_every_problem(plain, data):
    cfg = copy.deepcopy(plain)
    for _ in range(data.draw(st.integers(1, 3))):
        change(data, cfg, [(root,) for root in ANYWHERE if root in cfg])
    for problem in find_problems(cfg):
        assert problem.place and problem.what


@pytest.mark.reliability('bad input', "fuzz: MCDRL's own entries of a config")
@FUZZ
@given(st.data())
def test_parts_that_pass_the_check_are_built_or_refused_with_a_message(plain, data):
    cfg = copy.deepcopy(plain)
    change(data, cfg, [('model', 'decode_head', part) for part in PARTS])
    head = cfg['model']['decode_head']
    try:
        check_config(cfg)
    except ConfigCheckError:
        return
    widths = dict(embed_dims=head['in_channels'], dictionary_dims=128)
    for part in PARTS:
        if head.get(part):
            part_cfg = copy.deepcopy(head[part])
            if part == 'intervention':
                part_cfg = {**widths, **part_cfg}
            try:
                MODELS.build(part_cfg)
            except ValueError as error:
                assert str(error)
