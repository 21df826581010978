"""What a plan from someone else may do, and what it may not do without trust."""

import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.ablation import load_ablation
from mcdrl_lab.plans.plan_trust import UntrustedPlanError, own_tree

MARK = "open({!r}, 'w').close()\nsites = ['x', 'y']\n"


@pytest.fixture
def plan(tmp_path):
    """Writes a plan of one variant, beside a config of two sites."""
    folder = tmp_path / 'plans'
    folder.mkdir()
    (folder / 'c.py').write_text("sites = ['x', 'y']")

    def write(text, where='plan.yml'):
        path = folder / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def variant(options):
    return f'{{config: c.py, variants: [{{name: v, cfg_options: {options}}}]}}'


@pytest.mark.reliability('security', 'a plan that names a config elsewhere')
@pytest.mark.parametrize('arguments', [['--dry-run'], []])
@pytest.mark.parametrize('linked', [False, True])
def test_a_config_outside_the_plans_tree_is_not_run(
    plan, tmp_path, capsys, arguments, linked
):
    ran = tmp_path / 'ran'
    (tmp_path / 'other.py').write_text(MARK.format(str(ran)))
    name = '../other.py'
    path = plan(f'{{variants: [{{name: v, config: {name}}}]}}')
    if linked:
        (path.parent / 'link.py').symlink_to(tmp_path / 'other.py')
        plan('{variants: [{name: v, config: link.py}]}')
    assert main(['ablation', str(path), *arguments]) == 2
    error = capsys.readouterr().err
    assert f'error: {path}: variants[0].config is ' in error
    assert error.endswith('add --trust.\n')
    assert not ran.exists()
    assert main(['ablation', str(path), '--dry-run', '--trust']) == 0
    assert ran.exists()


def test_configs_in_the_same_configs_folder_need_no_trust(plan):
    path = plan(
        '{config: ../mcdrl/c.py, variants: [{name: v}]}', 'configs/ablation_plans/p.yml'
    )
    (path.parents[1] / 'mcdrl').mkdir()
    (path.parents[1] / 'mcdrl/c.py').write_text('')
    assert own_tree(path) == path.parents[1]
    assert [method.name for method in load_ablation(path)] == ['v']


def test_configs_shipped_with_the_package_need_no_trust(plan):
    from mcdrl_mmseg.config_files import config_path

    name = 'mcdrl/mcdrl_clip-tiny-rn_fcn_6e_endosim-128x128.py'
    path = plan(f'{{config: {config_path(name)}, variants: [{{name: v}}]}}')
    assert [method.name for method in load_ablation(path)] == ['v']


@pytest.mark.reliability('security', 'a plan whose changes to a config would run')
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ('{custom_imports.imports: [this]}', 'imports another package'),
        ('{custom_imports: {imports: this}}', 'imports another package'),
        ('{model.decode_head.loss_decode.class_weight: w.YML}', 'pickle or YAML'),
        ('{model.decode_head.loss_decode.class_weight: w.yaml}', 'pickle or YAML'),
        ('{test_pipeline: [{decode_backend: pickle}]}', 'can run code'),
        ('{default_hooks.checkpoint.out_dir: /etc}', 'lies outside'),
        ('{work_dir: a/../../b}', 'lies outside'),
        ('{load_from: http://a.b/c.pth}', 'contains a URL'),
        ('{model: {type: os.getcwd}}', 'not a registered component'),
        ('{model.type: builtins.print}', 'not a registered component'),
        ('{model.a: {_scope_: antigravity}}', 'not a registered component'),
        ('{default_scope: antigravity}', 'must be mmseg'),
        ('{model.norm_layer: torch.nn.BatchNorm2d}', 'names an object of the Python'),
        ('{model.loss.class_weight: weights.pkl}', 'names a pickle'),
        ('{_base_: other.py}', 'names another config'),
        ('{a: {_base_: other.py}}', 'names another config'),
        ("{a: '{{ $HOME }}'}", 'contains a template'),
        ('{a: {"b\': 1 #": 1}}', 'a key with a quote'),
        ('{a: {1.5: 1}}', 'has a key of type float'),
        ('{a: 2020-01-01}', 'is a date'),
        ('{a: [!!set {b}]}', 'is a set'),
        ('{a: "\\uD800"}', 'is not valid text'),
        ('{a: {"\\uDCFF": 1}}', 'a key that is not valid text'),
    ],
)
def test_changes_that_would_run_or_import_are_refused(plan, options, message):
    path = plan(variant(options))
    with pytest.raises(UntrustedPlanError, match=message) as caught:
        load_ablation(path)
    assert f'{path}: variants[0].cfg_options' in str(caught.value)
    assert [method.name for method in load_ablation(path, trust=True)] == ['v']


def test_values_of_sweeps_are_checked_like_options_of_variants(plan):
    path = plan(
        "{config: c.py, sweeps: [{name: 's{value}', key: model.type, "
        'values: [FCNHead, os.getcwd]}]}'
    )
    with pytest.raises(UntrustedPlanError, match=r'sweeps\[0\].*os\.getcwd'):
        load_ablation(path)


def test_data_paths_and_registered_types_can_be_changed_without_trust(plan):
    options = (
        '{model.decode_head: {_delete_: true, type: FCNHead, norm_cfg: {type: BN}, '
        'dropout_ratio: 0.1}, optim_wrapper.optimizer: {type: AdamW, lr: 1.0e-3}, '
        'data_root: data/sites.v2, load_from: weights/best.pth, palette: {0: [1, 2]}, '
        "custom_imports.imports: [mcdrl_mmseg], prompts: {'field-of-view': [a, b]}, "
        'model.backbone.type: mmpretrain.ConvNeXt}'
    )
    (method,) = load_ablation(plan(variant(options)))
    assert method.cfg_options['data_root'] == 'data/sites.v2'


@pytest.mark.reliability('security', 'a plan whose aliases stand for billions')
def test_yaml_aliases_that_expand_to_billions_of_entries_are_refused(plan):
    lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    lines += [f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]' for n in range(1, 9)]
    with pytest.raises(
        ProtocolError, match=r'plan\.yml: the plan has more than 100000 entries'
    ):
        load_ablation(plan('\n'.join(lines)))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('&a [*a]', 'more than 100000 entries'),
        ('[' * 10_000, 'is not a YAML file'),
        ('{variants: 5}', 'variants must be a list'),
        ('{variants: [{name: v, config: 5}]}', 'config 5 is not a path'),
        ("{config: c.py, sweeps: [{name: '{value}', key: 1, values: 2}]}", 'a list'),
    ],
)
def test_a_malformed_plan_is_refused_with_the_reason(plan, text, message):
    with pytest.raises(ProtocolError, match=message):
        load_ablation(plan(text))
