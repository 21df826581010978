"""Trainings that are killed or damaged, resumed, and equal an uninterrupted one.

All are forked from one process, so that nothing is imported twice.
"""

import os
import random
import re
import signal
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from forked_program import PRELOAD, have_the_imports

from mcdrl_lab.plans.child_process import ChildProcess
from mcdrl_lab.plans.launch import Launch

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith('linux'), reason='counts on forks'
)

_CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
_PROBE = Path(__file__).parent / 'probe'
_LIMIT_S = 600
_THREE_EPOCHS = 'train_cfg.max_epochs=3'
# At most one epoch is finished between two kills: the run never ends before the last.
_KILLS = 20

# Everything that a resumed run could lose: sampled confounders, dropout, flips in a
# data worker, a moving gate, a schedule, a best checkpoint.
_CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(imports=['mcdrl_mmseg', 'mcdrl_faults'])
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=0.5, ramp=1),
    dict(type='FaultHook'),
]
default_hooks = dict(logger=dict(interval=1), visualization=dict(draw=False))
randomness = dict(seed=3, deterministic=True)
model = dict(
    backbone=dict(frozen=True),
    decode_head=dict(
        intervention=dict(approximation='sampling', num_layers=1), loss_contrast=None
    ),
)
_load = [dict(type='LoadImageFromFile')]
_size = dict(type='Resize', scale=(64, 64), keep_ratio=False)
_pack = dict(type='PackSegInputs', meta_keys={{{{_base_.meta_keys}}}})
_mask = dict(type='LoadLesionMask')
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(
        max_images=4,
        pipeline=[
            *_load,
            _mask,
            _size,
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            _pack,
        ],
        sites=[dict(name='site', lesion_classes=['polyp'])],
        split='all',
    ),
)
_val = dict(batch_size=1, num_workers=0, persistent_workers=False)
_one = dict(max_images=1, pipeline=[*_load, _size, _mask, _pack], split='all')
_sites = [[dict(name=name, lesion_classes=['polyp'])] for name in ('val', 'test')]
val_dataloader = dict(**_val, dataset=dict(**_one, sites=_sites[0]))
test_dataloader = dict(**_val, dataset=dict(**_one, sites=_sites[1]))
param_scheduler = [dict(type='PolyLR', end={epochs}, convert_to_iter_based=True)]
train_cfg = dict(max_epochs={epochs})
"""


@dataclass
class Lab:
    """Starts trainings, watches them and reads what they leave.

    Attributes:
        bench: Its bench.
        config: Config of all of them.
        image: One of the training images.
    """

    bench: object
    config: Path
    image: Path

    def start(self, name, *options, ranks=None, **environment):
        """Start a training, or as many processes as torchrun would.

        Args:
            name: Of the work folder.
            *options: Overrides of the config.
            ranks: How often torchrun may start two processes again; None trains in one.
            **environment: Further variables.
        """
        events = self.bench.folder / f'{name}.events'
        events.write_bytes(b'')
        function = f'{Launch().module}:train_main'
        arguments = [self.config, '--resume', '--work-dir', self.bench.folder / name]
        if ranks is not None:
            function = 'train_in_forked_ranks:main'
            arguments = [ranks, *arguments, '--launcher', 'pytorch']
            options = [*options, 'train_dataloader.batch_size=1']
            # Otherwise restarted ranks would meet in the store of those that died,
            # which still holds their addresses (seen with torch 2.13 and gloo).
            environment = {**environment, 'TORCH_DISABLE_SHARE_RDZV_TCP_STORE': '1'}
        if options:
            arguments += ['--cfg-options', *options]
        environment = {
            **self.bench.environment(self.bench.folder),
            'MCDRL_EVENTS': str(events),
            **environment,
        }
        have_the_imports()
        child = ChildProcess(
            function,
            [str(argument) for argument in arguments],
            environment=environment,
            log=self.bench.folder / f'{name}.log',
            preload=PRELOAD,
        )
        return child.start()

    def train(self, name, *options, check=True, **started):
        """Train to the end, or to the fault; gives the return code and the log."""
        code = self.start(name, *options, **started).wait(_LIMIT_S)
        log = self.log(name)
        assert not check or code == 0, log[-4000:]
        return code, log

    def log(self, name):
        """Everything that the trainings in a folder have written."""
        return (self.bench.folder / f'{name}.log').read_text()

    def wait_for(self, process, name, count):
        """Wait until a training has recorded as many events."""
        events = self.bench.folder / f'{name}.events'
        end = time.monotonic() + _LIMIT_S
        while events.stat().st_size < count:
            assert time.monotonic() < end, self.log(name)[-4000:]
            if not Path(f'/proc/{process.pid}').exists():
                pytest.fail(f'ended too early: {self.log(name)[-4000:]}')
            time.sleep(0.001)

    def checkpoint(self, name, epoch):
        """A checkpoint of an epoch."""
        path = self.bench.folder / name / f'epoch_{epoch}.pth'
        return torch.load(path, weights_only=False)


@pytest.fixture(scope='module')
def lab(new_bench, site_drawer, tmp_path_factory):
    root = tmp_path_factory.mktemp('fault_site')
    for name, number in (('site', 4), ('val', 1), ('test', 1)):
        site_drawer(root / name, [True] * number, seed=number + len(name))
    bench = new_bench('faults', root)
    config = bench.folder / 'faults.py'
    base = 'mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128'
    base = _CONFIGS / f'mcdrl/{base}.py'
    config.write_text(_CONFIG.format(base=str(base), epochs=_KILLS + 2))
    # Children inherit this path, where they find the hook and the ranks.
    sys.path.insert(0, str(_PROBE))
    yield Lab(bench, config, root / 'site' / 'images' / 'site_001.jpg')
    sys.path.remove(str(_PROBE))


@pytest.fixture(scope='module')
def unbroken(lab):
    """An uninterrupted training; all its checkpoints are kept."""
    lab.train('unbroken', 'default_hooks.checkpoint.max_keep_ckpts=-1')
    return 'unbroken'


def assert_same_training(found, expected):
    """Weights, optimizer, schedule and best score, bit for bit."""
    assert_same(found['state_dict'], expected['state_dict'])
    assert_same(found['optimizer'], expected['optimizer'])
    assert_same(found['param_schedulers'], expected['param_schedulers'])
    assert found['meta']['iter'] == expected['meta']['iter']
    best, expected_best = (
        run['message_hub']['runtime_info']['best_score'] for run in (found, expected)
    )
    assert best == expected_best


def assert_same(found, expected):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for pair in zip(found, expected):
            assert_same(*pair)
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    else:
        assert found == expected


@pytest.mark.reliability('determinism', 'two runs with one seed, `deterministic=True`')
def test_two_runs_with_the_same_seed_have_the_same_weights(lab, unbroken):
    lab.train('again', 'train_cfg.max_epochs=2')
    for epoch in (1, 2):
        assert_same_training(
            lab.checkpoint('again', epoch), lab.checkpoint(unbroken, epoch)
        )
    first, second = (lab.checkpoint(unbroken, epoch) for epoch in (1, 2))
    moved = [
        key
        for key, value in first['state_dict'].items()
        if not torch.equal(value, second['state_dict'][key])
    ]
    assert any('predictor' in key for key in moved), 'nothing was trained'


@pytest.mark.reliability(
    'fault',
    f'SIGKILL and SIGTERM at {_KILLS} moments of one training, of steps, '
    'validations and half-written checkpoints',
)
def test_a_run_killed_at_many_moments_equals_the_uninterrupted_run(lab, unbroken):
    all_events = (lab.bench.folder / 'unbroken.events').stat().st_size
    an_epoch = all_events // (_KILLS + 2)
    assert an_epoch >= 6, 'steps, checkpoints and validations are told of'
    rng = random.Random(0)
    folder = lab.bench.folder / 'killed'
    half_written = 0
    for number in range(_KILLS):
        kind = (signal.SIGKILL, signal.SIGTERM)[number % 2]
        moment = rng.randint(1, an_epoch)
        # Half of the runs are held at the moment, the others go on to an unknown point.
        held = number % 4 < 2
        hold = dict(MCDRL_HOLD_AT=str(moment)) if held else {}
        process = lab.start('killed', **hold)
        lab.wait_for(process, 'killed', moment)
        if not held:
            time.sleep(rng.uniform(0, 0.05))
        os.kill(process.pid, kind)
        assert process.wait(_LIMIT_S) == -kind, lab.log('killed')[-4000:]
        half_written += bool(list(folder.glob('.*.partial.pth')))
        for path in folder.glob('[!.]*.pth'):
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None, path
    assert half_written >= 3
    lab.train('killed')
    last = _KILLS + 2
    assert_same_training(lab.checkpoint('killed', last), lab.checkpoint(unbroken, last))
    # Only the files that an uninterrupted run with this setting would keep are left.
    best = {path.name for path in (lab.bench.folder / unbroken).glob('best_*.pth')}
    expected = {f'epoch_{last - 1}.pth', f'epoch_{last}.pth', *best}
    assert {path.name for path in folder.glob('*.pth')} == expected
    assert {path.name for path in folder.glob('.*')} == {'.training-lock'}


@pytest.mark.reliability('fault', 'a data worker killed')
def test_a_killed_data_worker_ends_the_run_and_the_run_can_be_resumed(lab, unbroken):
    code, log = lab.train('worker', _THREE_EPOCHS, check=False, MCDRL_FAULT='worker')
    assert code not in (0, None)
    assert 'DataLoader worker' in log and 'Killed' in log
    resume_and_compare(lab, unbroken, 'worker')


@pytest.mark.reliability('fault', 'an image that vanishes in mid-run')
def test_an_image_that_vanishes_is_named_and_the_run_can_be_resumed(lab, unbroken):
    vanished = lab.image.with_name(f'{lab.image.name}.vanished')
    try:
        code, log = lab.train(
            'image', _THREE_EPOCHS, check=False, MCDRL_FAULT=str(lab.image)
        )
    finally:
        vanished.rename(lab.image)
    assert code not in (0, None)
    assert f'No such file or directory: {str(lab.image)!r}' in log
    resume_and_compare(lab, unbroken, 'image')


@pytest.mark.reliability('fault', 'disk full while a training writes a checkpoint')
def test_a_full_disk_ends_the_run_with_the_file_name_and_the_run_can_be_resumed(
    lab, unbroken
):
    code, log = lab.train('disk', _THREE_EPOCHS, check=False, MCDRL_FAULT='disk')
    assert code not in (0, None)
    assert 'epoch_2.pth could not be written (File too large' in log
    pointer = lab.bench.folder / 'disk' / 'last_checkpoint'
    assert pointer.read_text().endswith('epoch_1.pth')
    resume_and_compare(lab, unbroken, 'disk')


def resume_and_compare(lab, unbroken, name):
    lab.train(name, _THREE_EPOCHS)
    assert_same_training(lab.checkpoint(name, 3), lab.checkpoint(unbroken, 3))


@pytest.fixture(scope='module')
def unbroken_ranks(lab):
    """The last checkpoint of an uninterrupted training in two processes."""
    lab.train('ranks', _THREE_EPOCHS, ranks=0)
    return lab.checkpoint('ranks', 3)


@pytest.mark.reliability('fault', 'a rank killed in a two-process run: the job ends')
def test_a_killed_rank_ends_the_job_within_a_minute(lab):
    process = lab.start('lost_rank', _THREE_EPOCHS, ranks=0, MCDRL_FAULT='rank')
    lab.wait_for(process, 'lost_rank', 8)
    begin = time.monotonic()
    assert process.wait(_LIMIT_S) not in (0, None)
    assert time.monotonic() - begin < 60
    # torchrun names the rank that ends first: the killed one, or the one that lost it.
    assert re.search(r'Signal 9 \(SIGKILL\)|remote worker', lab.log('lost_rank'))


@pytest.mark.reliability(
    'fault', 'a rank killed in a two-process run: torchrun carries on'
)
def test_torchrun_restarts_killed_ranks_from_the_last_checkpoint(lab, unbroken_ranks):
    _, log = lab.train('restarted', _THREE_EPOCHS, ranks=1, MCDRL_FAULT='rank')
    assert 'resumed epoch: 1, iter: 2' in log
    assert_same_training(lab.checkpoint('restarted', 3), unbroken_ranks)
