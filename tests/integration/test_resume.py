"""A run killed between two checkpoints and resumed equals the uninterrupted one."""

import math
import shutil
import signal

import pytest
import torch
from mmengine.config import Config

_TIMES = {'time', 'data_time', 'eta', 'memory'}
_ITERATIONS_PER_EPOCH = 5


@pytest.fixture(scope='module')
def killed(reference):
    """The reference run once more, ended by SIGKILL in its second epoch."""
    config = reference.config.read_text()
    at = _ITERATIONS_PER_EPOCH + 3
    path = reference.bench.folder / 'killed.py'
    path.write_text(config.replace('kill_at_iter=None', f'kill_at_iter={at}'))
    run = reference.bench.tool(
        'killed', 'train.py', path, check=False, work_dir='broken', fresh=False
    )
    assert run.returncode == -signal.SIGKILL
    assert (run.work_dir / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    return run, run.checkpoint('epoch_1.pth')


@pytest.fixture(scope='module')
def resumed_with_other_prompts(reference, killed):
    """An attempt to resume with one prompt changed."""
    # As many confounders as before: the state dict would load without an error.
    prompts = 'model.decode_head.dictionary.prompts'
    run = reference.bench.tool(
        'other_prompts',
        'train.py',
        reference.config,
        '--resume',
        check=False,
        work_dir='broken',
        options=[f'{prompts}.confounders.distance=[near,far]'],
        fresh=False,
    )
    return run, sorted(path.name for path in run.work_dir.glob('*.pth'))


@pytest.fixture(scope='module')
def resumed(reference, killed, resumed_with_other_prompts):
    """The killed run resumed with its own config, after the failed attempt."""
    return reference.bench.tool(
        'resumed',
        'train.py',
        reference.config,
        '--resume',
        work_dir='broken',
        fresh=False,
    )


@pytest.fixture(scope='module')
def resumed_with_dumped_config(reference, killed):
    """The killed run resumed with the config that MMEngine left in its work folder."""
    run, _ = killed
    folder = reference.bench.folder / 'broken_dumped'
    folder.mkdir()
    for name in ('epoch_1.pth', 'last_checkpoint'):
        shutil.copy(run.work_dir / name, folder)
    dumped = (run.work_dir / 'killed.py').read_text()
    config = reference.bench.folder / 'dumped.py'
    config.write_text(dumped.replace('kill_at_iter=8', 'kill_at_iter=None'))
    return config, reference.bench.tool(
        'dumped', 'train.py', config, '--resume', work_dir='broken_dumped', fresh=False
    )


def assert_same(found, expected, where=''):
    """Compare nested states bit for bit."""
    assert type(found) is type(expected), where
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key in expected:
            assert_same(found[key], expected[key], f'{where}.{key}')
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for index, pair in enumerate(zip(found, expected)):
            assert_same(*pair, f'{where}[{index}]')
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), where
    elif isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(found), where
    else:
        assert found == expected, where


def without_times(lines: list[dict]) -> list[dict]:
    return [
        {name: value for name, value in line.items() if name not in _TIMES}
        for line in lines
    ]


def test_two_runs_with_the_same_seed_agree_bit_for_bit(reference, killed):
    run, checkpoint = killed
    expected = reference.run.checkpoint('epoch_1.pth')
    assert_same(checkpoint['state_dict'], expected['state_dict'])
    assert_same(checkpoint['optimizer'], expected['optimizer'])
    lines = without_times(run.scalars())
    # Five steps, a validation, and the steps of the second epoch up to the kill.
    assert len(lines) == _ITERATIONS_PER_EPOCH + 1 + 3
    assert_same(lines, without_times(reference.run.scalars())[: len(lines)])


def test_with_a_warm_cache_the_text_tower_does_not_run(killed, resumed):
    assert killed[0].text_passes == []
    assert resumed.text_passes == []


def test_resuming_with_other_prompts_stops_and_says_what_to_do(
    resumed_with_other_prompts,
):
    run, checkpoints = resumed_with_other_prompts
    assert run.returncode not in (0, -signal.SIGKILL)
    assert 'trained with other prompts' in run.output
    assert 'Resume with the config it was trained with' in run.output
    assert checkpoints == ['best_mDice_fg_epoch_1.pth', 'epoch_1.pth']


@pytest.mark.parametrize('epoch', [2, 3])
def test_a_resumed_run_has_the_weights_of_the_uninterrupted_one(
    reference, resumed, epoch
):
    name = f'epoch_{epoch}.pth'
    found = resumed.checkpoint(name)['state_dict']
    expected = reference.run.checkpoint(name)['state_dict']
    assert_same(found, expected)
    before = reference.run.checkpoint('epoch_1.pth')['state_dict']
    moved = [key for key in expected if not torch.equal(expected[key], before[key])]
    assert any('layers' in key for key in moved), 'nothing was trained'


def test_a_resumed_run_has_the_gate_of_the_uninterrupted_one(reference, resumed):
    gates = {
        epoch: resumed.checkpoint(f'epoch_{epoch}.pth')['state_dict'][
            'decode_head.intervention.gate'
        ]
        for epoch in (1, 2, 3)
    }
    # The last step of epoch e is (e - 1/5) epochs in; the ramp is from 0.4 to 1.6.
    assert float(gates[1]) == pytest.approx((0.8 - 0.4) / 1.2)
    assert float(gates[2]) == 1
    for epoch, gate in gates.items():
        state = reference.run.checkpoint(f'epoch_{epoch}.pth')['state_dict']
        assert torch.equal(gate, state['decode_head.intervention.gate'])


def test_a_resumed_run_has_the_optimiser_and_schedule_of_the_uninterrupted_one(
    reference, resumed
):
    found = resumed.checkpoint('epoch_3.pth')
    expected = reference.run.checkpoint('epoch_3.pth')
    assert_same(found['optimizer'], expected['optimizer'])
    assert_same(found['param_schedulers'], expected['param_schedulers'])
    assert found['meta']['iter'] == expected['meta']['iter']


def test_a_resumed_run_has_the_losses_and_scores_of_the_uninterrupted_one(
    reference, resumed
):
    expected = without_times(reference.run.scalars())[_ITERATIONS_PER_EPOCH + 1 :]
    found = without_times(resumed.scalars())
    assert len(found) == 2 * (_ITERATIONS_PER_EPOCH + 1)
    assert_same(found, expected)
    assert (resumed.work_dir / reference.best_checkpoint.name).is_file()


@pytest.mark.parametrize('epoch', [2, 3])
def test_resuming_with_the_config_in_the_work_folder_equals_the_uninterrupted_run(
    reference, resumed_with_dumped_config, epoch
):
    config, run = resumed_with_dumped_config
    # The families of conditions have another order there than in training.
    prompts = Config.fromfile(
        config, import_custom_modules=False
    ).model.decode_head.dictionary.prompts
    written = Config.fromfile(
        reference.config, import_custom_modules=False
    ).model.decode_head.dictionary.prompts
    assert list(prompts.confounders) == sorted(written.confounders)
    assert list(prompts.confounders) != list(written.confounders)
    name = f'epoch_{epoch}.pth'
    found, expected = run.checkpoint(name), reference.run.checkpoint(name)
    assert_same(found['state_dict'], expected['state_dict'])
    assert_same(found['optimizer'], expected['optimizer'])
    assert found['meta']['confounder_names'] == expected['meta']['confounder_names']
