import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel, MMDistributedDataParallel
from torch import nn

from mcdrl_mmseg.apis import build_runner, enable_amp, load_config, run_setup
from mcdrl_mmseg.apis.config import ConfigFileError


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / 'some_config.py'
    path.write_text('a = dict(b=1)\nhooks = [dict(c=1), dict(c=2)]\n')
    return str(path)


def test_work_dir_is_named_after_the_config_if_none_is_given(config_file):
    cfg = load_config(config_file)
    assert cfg.work_dir == 'work_dirs/some_config'
    assert cfg.launcher == 'none'


def test_given_work_dir_wins_over_the_configs_and_that_over_the_default(config_file):
    with open(config_file, 'a') as file:
        file.write("work_dir = 'from_config'\n")
    assert load_config(config_file).work_dir == 'from_config'
    assert load_config(config_file, work_dir='given').work_dir == 'given'


def test_cfg_options_override_entries_of_the_config(config_file):
    cfg = load_config(
        config_file, {'a.b': 2, 'hooks.1.c': 5, 'new.key': 3}, launcher='slurm'
    )
    assert cfg.a.b == 2
    assert cfg.hooks == [dict(c=1), dict(c=5)]
    assert cfg.new.key == 3
    assert cfg.launcher == 'slurm'


@pytest.mark.parametrize(
    ('value', 'what'), [('None', 'None'), ("['fog']", 'of type list')]
)
def test_error_for_a_dict_over_another_value_names_file_key_and_remedy(
    tmp_path, value, what
):
    (tmp_path / 'base.py').write_text(f'a = dict(b=dict(c={value}))')
    child, grandchild = tmp_path / 'child.py', tmp_path / 'grandchild.py'
    child.write_text("_base_ = 'base.py'\na = dict(b=dict(c=dict(d=1)))")
    grandchild.write_text("_base_ = 'child.py'\nx = 1")
    message = (
        rf'child\.py: a\.b\.c is a dict, .* value that is {what}\. .* _delete_=True'
    )
    # The message names the file at fault, not the one that was loaded.
    with pytest.raises(ConfigFileError, match=message) as caught:
        load_config(str(grandchild))
    assert 'grandchild' not in str(caught.value)
    child.write_text("_base_ = 'base.py'\na = dict(b=dict(c=dict(_delete_=True, d=1)))")
    assert load_config(str(grandchild)).a.b.c == dict(d=1)


def test_an_option_below_an_entry_that_is_none_is_named_in_the_error(tmp_path):
    config = tmp_path / 'c.py'
    config.write_text('a = dict(b=None)')
    with pytest.raises(ConfigFileError, match=r'^--cfg-options: a\.b is a dict'):
        load_config(str(config), {'a.b.c': 1})


def test_an_error_in_the_code_of_a_config_keeps_its_type(tmp_path):
    config = tmp_path / 'c.py'
    config.write_text('x = 1 + None')
    with pytest.raises(TypeError, match='unsupported operand'):
        load_config(str(config))


def test_missing_config_is_named_in_the_error(tmp_path):
    path = str(tmp_path / 'absent.py')
    with pytest.raises(FileNotFoundError, match=r'absent\.py'):
        load_config(path)


def _optimizer_config(kind='OptimWrapper'):
    return Config(
        dict(optim_wrapper=dict(type=kind, optimizer=dict(type='SGD', lr=0.1)))
    )


def test_a_config_without_a_model_is_refused_as_incomplete(config_file):
    with pytest.raises(ConfigFileError) as error:
        build_runner(load_config(config_file))
    message = str(error.value)
    assert message.startswith(f'{config_file} has no model: expected a complete config')


def test_amp_on_a_cpu_is_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = _optimizer_config()
    enable_amp(cfg)
    assert cfg.optim_wrapper == dict(
        type='BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.1)
    )


def test_amp_on_a_gpu_is_float16_with_scaled_losses(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = _optimizer_config()
    enable_amp(cfg)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'


@pytest.mark.parametrize('kind', ['AmpOptimWrapper', 'BFloat16OptimWrapper'])
def test_amp_that_the_config_sets_already_is_left_alone(kind):
    cfg = _optimizer_config(kind)
    enable_amp(cfg)
    assert cfg.optim_wrapper == _optimizer_config(kind).optim_wrapper


def test_amp_with_another_optimizer_wrapper_is_refused():
    with pytest.raises(ValueError, match='ApexOptimWrapper'):
        enable_amp(_optimizer_config('ApexOptimWrapper'))


class _Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs):
        return self.layer(inputs)


@pytest.fixture
def one_process(tmp_path):
    """A group of one process, joined by gloo."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/join', rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.fixture
def built(monkeypatch):
    """Configs that were passed to MMEngine's runner."""
    configs = []
    monkeypatch.setattr(run_setup.ToolRunner, 'from_cfg', configs.append)
    return configs


def test_processes_without_a_gpu_are_joined_by_gloo(monkeypatch, built):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    joined = []
    monkeypatch.setattr(
        torch.distributed, 'init_process_group', lambda backend: joined.append(backend)
    )
    build_runner(Config(dict(launcher='pytorch')))
    assert joined == ['gloo']


def test_a_single_process_joins_no_group(monkeypatch, built):
    monkeypatch.setattr(
        torch.distributed, 'init_process_group', lambda **_: pytest.fail('joined')
    )
    build_runner(Config(dict(launcher='none')))
    assert 'model_wrapper_cfg' not in built[0]


def test_model_is_wrapped_for_processes_without_a_gpu(monkeypatch, one_process, built):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    build_runner(Config(dict(launcher='pytorch')))
    arguments = dict(built[0].model_wrapper_cfg)
    assert arguments.pop('type') == 'MMDistributedDataParallel'
    assert arguments == dict(
        broadcast_buffers=False, find_unused_parameters=False, device_ids=None
    )
    assert MMDistributedDataParallel(module=_Toy(), **arguments) is not None


def test_wrapper_options_of_the_config_are_kept(monkeypatch, one_process, built):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    build_runner(
        Config(
            dict(
                launcher='pytorch',
                find_unused_parameters=True,
                model_wrapper_cfg=dict(static_graph=True, broadcast_buffers=True),
            )
        )
    )
    arguments = built[0].model_wrapper_cfg
    assert arguments.static_graph is True
    assert arguments.broadcast_buffers is True
    assert arguments.find_unused_parameters is True


def test_runner_type_of_the_config_is_used(monkeypatch):
    made = []
    monkeypatch.setattr(run_setup.RUNNERS, 'build', made.append)
    cfg = Config(dict(launcher='none', runner_type='Other'))
    build_runner(cfg)
    assert made == [cfg]


@pytest.mark.parametrize('listed', [False, True])
def test_another_work_dir_moves_the_records_file_with_it(tmp_path, listed):
    metric = dict(type='SiteLesionMetric', records_path=f'{tmp_path}/run/a/test.json')
    cfg = Config(
        dict(
            work_dir=f'{tmp_path}/run',
            test_evaluator=[metric] if listed else metric,
            val_evaluator=dict(records_path=f'{tmp_path}/elsewhere.json'),
        )
    )
    path = tmp_path / 'config.py'
    cfg.dump(path)
    read = load_config(str(path), work_dir=f'{tmp_path}/other')
    moved = read.test_evaluator[0] if listed else read.test_evaluator
    assert moved.records_path == f'{tmp_path}/other/a/test.json'
    # A path outside the work folder was chosen by hand and is kept.
    assert read.val_evaluator.records_path == f'{tmp_path}/elsewhere.json'
    own = load_config(str(path))
    assert own.test_evaluator == cfg.test_evaluator
    key = 'test_evaluator.0.records_path' if listed else 'test_evaluator.records_path'
    named = load_config(str(path), {key: 'named.json'}, f'{tmp_path}/other')
    moved = named.test_evaluator[0] if listed else named.test_evaluator
    assert moved.records_path == 'named.json'


def test_a_run_never_replaces_the_config_it_was_read_from(tmp_path, monkeypatch):
    monkeypatch.setattr(run_setup.ToolRunner, 'from_cfg', lambda cfg: cfg)
    path = tmp_path / 'config.py'
    path.write_text('a = 1\n')
    # MMEngine writes the config under its file's name into the work folder.
    cfg = load_config(str(path), work_dir=str(tmp_path))
    assert build_runner(cfg).filename is None
    cfg = load_config(str(path), work_dir=str(tmp_path / 'other'))
    assert build_runner(cfg).filename == str(path)
