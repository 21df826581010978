from pathlib import Path

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.ablation import load_ablation


@pytest.fixture
def write(tmp_path):
    (tmp_path / 'base.py').write_text('')
    (tmp_path / 'other.py').write_text('')
    (tmp_path / 'third.py').write_text('')

    def write(text):
        path = tmp_path / 'plan.yml'
        path.write_text(text)
        return path

    return write


def test_variants_and_sweeps_become_methods(write):
    path = write("""
        config: base.py
        variants:
          - name: full
          - name: without_mtrs
            cfg_options: {model.decode_head.region_selector: null}
          - {name: small, config: other.py}
        sweeps:
          - name: depth{value}
            key: model.depth
            values: [1, 3]
            cfg_options: {model.width: 8}
          - {name: 'wide{value}', config: third.py, key: model.width, values: [9]}
    """)
    methods = {m.name: m for m in load_ablation(path)}
    assert list(methods) == [
        *('full', 'without_mtrs', 'small', 'depth1', 'depth3', 'wide9')
    ]
    assert methods['without_mtrs'].cfg_options == {
        'model.decode_head.region_selector': None
    }
    assert methods['depth3'].cfg_options == {'model.width': 8, 'model.depth': 3}
    assert Path(methods['small'].config).resolve() == path.parent / 'other.py'
    assert Path(methods['full'].config).resolve() == path.parent / 'base.py'
    assert Path(methods['depth3'].config).resolve() == path.parent / 'base.py'
    assert Path(methods['wide9'].config).resolve() == path.parent / 'third.py'


def test_a_given_config_replaces_that_of_the_plan_but_not_that_of_an_entry(
    write, tmp_path
):
    path = write('{config: missing.py, variants: [{name: full}]}')
    other = str(tmp_path / 'other.py')
    assert load_ablation(path, other)[0].config == other
    for text in (
        '{variants: [{name: full, config: base.py}]}',
        "{sweeps: [{name: 'x{value}', config: base.py, key: k, values: [1]}]}",
    ):
        with pytest.raises(ProtocolError, match='has its own config'):
            load_ablation(write(text), other)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[1]', 'must be a mapping'),
        ('{a: [', 'is not a YAML file'),
        ('{config: base.py}', 'defines no method'),
        ('{variant: []}', r"unknown keys \['variant'\]"),
        ('{config: base.py, variants: [{nam: x}]}', r'variants\[0\]: unknown keys'),
        ('{config: base.py, variants: [{name: x, cfg_options: [1]}]}', 'cfg_options'),
        ('{variants: [{name: x}]}', 'has no config'),
        ('{config: none.py, variants: [{name: x}]}', 'no config file'),
        ('{config: base.py, variants: [{name: x}, {name: x}]}', "named 'x'"),
        (
            '{config: base.py, sweeps: [{name: x, key: k, values: [1]}]}',
            'must contain {value}',
        ),
        ('!!python/object/apply:os.getcwd []', 'is not a YAML file'),
    ],
)
def test_a_file_that_is_not_a_valid_plan_is_refused(write, text, message):
    with pytest.raises(ProtocolError, match=message):
        load_ablation(write(text))


def test_a_missing_plan_file_is_named_in_the_error():
    with pytest.raises(ProtocolError, match=r'cannot read the plan none\.yml: No such'):
        load_ablation('none.yml')


@pytest.mark.reliability('bad input', 'a plan with names that no file can have')
@pytest.mark.parametrize('trust', [True, False])
@pytest.mark.parametrize('name', [r'c\0.py', 'c' * 5000, r'c\uD800.py', '.', ''])
def test_a_config_with_an_impossible_file_name_is_refused_in_a_short_error(
    write, name, trust
):
    path = write(f'{{variants: [{{name: x, config: "{name}"}}]}}')
    with pytest.raises(ProtocolError, match=r'variants\[0\].*no config') as caught:
        load_ablation(path, trust=trust)
    assert len(str(caught.value)) < 600


def test_unknown_keys_of_mixed_types_are_refused(write):
    with pytest.raises(ProtocolError, match='unknown keys'):
        load_ablation(write('{config: base.py, variants: [{name: x, 1: 2, y: 3}]}'))


def test_a_method_name_too_long_for_a_folder_is_refused(write):
    name = 'm' * 201
    with pytest.raises(ProtocolError, match='limit is 200'):
        load_ablation(write(f'{{config: base.py, variants: [{{name: {name}}}]}}'))
