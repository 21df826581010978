"""The whole command on two made-up sites: killed, started again, leak-free folds."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mcdrl_common.model_settings import model_hash
from mcdrl_lab.plans.records import read_records
from mcdrl_mmseg.apis.checkpoint import read_checkpoint
from mcdrl_mmseg.apis.checkpoint_config import parse_config_text

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(__file__).resolve().parent / 'probe'
BASE = 'configs/mcdrl/mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py'
SITES = ('north', 'south')
# Longer than any plan takes unless it hangs.
WAIT_S = 900

CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(
    imports=['mcdrl_mmseg', 'mcdrl_hold'], allow_failed_imports=False
)
sites = [dict(name=name, lesion_classes=['polyp']) for name in {sites!r}]
# Few steps on small lesions would else end in empty masks, and in scores of 0.
predictor = dict(
    loss_decode=dict(
        _delete_=True, type='CrossEntropyLoss', class_weight=[0.05, 1.0]
    )
)
model = dict(decode_head=dict(predictor=predictor))
train_cfg = dict(max_epochs=4)
default_hooks = dict(logger=dict(interval=1))
custom_hooks = [
    dict(type='ConfounderDictionaryHook', cache_dir={cache!r}),
    dict(type='InterventionWarmupHook', begin=1),
    dict(type='HoldHook', file={hold!r}, work_dir='south/seed0', epochs=2),
]
loader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root={data!r}),
)
train_dataloader = val_dataloader = test_dataloader = loader
"""

# Every process of the command loads this first and notes each file that it opens. A
# run is forked from a process that has loaded it, with arguments of its own.
AUDIT = """
import os, sys
log = os.open(os.environ['OPEN_LOG'], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(event, args):
    if event == 'open' and isinstance(args[0], (str, bytes, os.PathLike)):
        # While Python starts there is none.
        line = '\\t'.join([os.fsdecode(args[0]), *getattr(sys, 'argv', ())])
        os.write(log, (line.replace('\\n', ' ') + '\\n').encode())
sys.addaudithook(note)
"""


def make_site(folder, seed, count=5):
    """Dark frames with one bright disc, which is the lesion."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:48, :56]
    for kind in ('images', 'masks'):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        y, x = rng.integers(16, 32, 2)
        mask = (rows - y) ** 2 + (columns - x) ** 2 < 100
        picture = rng.integers(0, 80, (48, 56, 3)) + 150 * mask[..., None]
        Image.fromarray(picture.astype(np.uint8)).save(folder / f'images/{number}.jpg')
        Image.fromarray((255 * mask).astype(np.uint8)).save(
            folder / f'masks/{number}.png'
        )


class Command:
    """The command on the made-up sites."""

    def __init__(self, folder):
        self.out = folder / 'out'
        self.open_log = folder / 'opened'
        (folder / 'audit').mkdir()
        (folder / 'audit' / 'sitecustomize.py').write_text(AUDIT)
        for seed, site in enumerate(SITES):
            make_site(folder / 'data' / site, seed)
        self.hold = folder / 'hold'
        self.config = folder / 'tiny.py'
        self.config.write_text(
            CONFIG.format(
                base=str(ROOT / BASE),
                sites=SITES,
                cache=str(folder / 'cache'),
                hold=str(self.hold),
                data=str(folder / 'data'),
            )
        )
        self.env = {
            **os.environ,
            'PYTHONPATH': os.pathsep.join([str(folder / 'audit'), str(PROBE)]),
            'OPEN_LOG': str(self.open_log),
            'OMP_NUM_THREADS': '1',
        }

    def start(self, *arguments):
        command = [sys.executable, '-m', 'mcdrl_lab', 'leave-one-site-out']
        return subprocess.Popen(
            [*command, *arguments, '--out', str(self.out)],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_plan(self):
        return self.start(f'mcdrl={self.config}', '--seeds', '1', '--jobs', '2')

    @property
    def held(self):
        """File that exists as soon as the run on south waits."""
        return self.hold.with_name(f'{self.hold.name}.held')

    def folder(self, site):
        return self.out / 'mcdrl' / site / 'seed0'

    def state(self, site):
        return json.loads((self.folder(site) / 'state.json').read_text())

    def logged(self, site):
        """Logged lines of each start of a run's training, in order."""
        files = sorted(self.folder(site).glob('*/vis_data/scalars.json'))
        return [[json.loads(line) for line in open(file)] for file in files]

    def opened(self):
        """Pairs of a file below the data folder and the command line that opened it."""
        data = str(self.config.parent / 'data')
        lines = self.open_log.read_text().splitlines()
        rows = [line.split('\t') for line in lines if line.startswith(data)]
        return [(Path(row[0]).relative_to(data), row[1:]) for row in rows]


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A plan killed with one run done and the other in training, then finished.

    The run on south waits after two epochs, and is resumed from there.
    """
    command = Command(tmp_path_factory.mktemp('loso'))
    records_path = command.out / 'records.jsonl'
    command.hold.touch()
    first = command.run_plan()
    end = time.monotonic() + WAIT_S
    while not (command.held.exists() and read_records(records_path)):
        assert first.poll() is None, first.communicate()[0]
        assert time.monotonic() < end, f'not half done within {WAIT_S} s'
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    command.first_output = first.communicate(timeout=WAIT_S)[0]
    command.first_code = first.returncode
    command.first_records = read_records(records_path)
    command.hold.unlink()
    second = command.run_plan()
    command.second_output = second.communicate(timeout=WAIT_S)[0]
    command.second_code = second.returncode
    return command


def test_a_killed_plan_says_how_to_resume_and_finishes_when_started_again(finished):
    assert finished.first_code == 130
    assert 'run the same command again to resume' in finished.first_output
    assert finished.second_code == 0, finished.second_output
    assert '1 of 2 runs are already finished' in finished.second_output
    assert 'mcdrl/south/seed0: resumed' in finished.second_output
    assert '2/2 runs done' in finished.second_output


def test_no_run_is_done_twice(finished):
    records = read_records(finished.out / 'records.jsonl')
    assert [r.held_out for r in finished.first_records] == ['north']
    assert [r.held_out for r in records] == ['north', 'south']
    assert {r.status for r in records} == {'done'}
    stages = {
        site: [attempt['stage'] for attempt in finished.state(site)['attempts']]
        for site in SITES
    }
    assert stages == {'north': ['train', 'test'], 'south': ['train', 'train', 'test']}


def test_the_killed_run_resumes_with_its_next_epoch(finished):
    epochs = [
        {line['epoch'] for line in lines if 'loss' in line}
        for lines in finished.logged('south')
    ]
    assert epochs == [{1, 2}, {3, 4}]


def test_a_record_holds_every_image_of_the_held_out_site(finished):
    for record in read_records(finished.out / 'records.jsonl'):
        assert sorted(i['image'] for i in record.images) == [
            f'images/{number}.jpg' for number in range(5)
        ]
        assert {i['site'] for i in record.images} == {record.held_out}
        assert record.budget == {
            'epochs': 4,
            'batch_size': 2,
            'image_size': [128, 128],
            'train_images': 4,
        }
        dice = [i['dice'] for i in record.images]
        assert min(dice) > 0
        assert record.metrics['mDice_fg'] == pytest.approx(np.mean(dice))


def test_the_model_hash_of_a_record_is_that_of_its_checkpoint(finished):
    for record in read_records(finished.out / 'records.jsonl'):
        (best,) = finished.folder(record.held_out).glob('best_*.pth')
        text = read_checkpoint(best)['meta']['cfg'].replace('mcdrl_hold', 'mcdrl_mmseg')
        model = parse_config_text(text, str(best)).model
        assert model_hash(model) == record.model_hash


def test_no_fold_opens_a_file_of_its_held_out_site_before_its_test(finished):
    training = 'mcdrl_mmseg.apis.training'
    readers = {f'{training}:train_main': set(), f'{training}:test_main': set()}
    for path, (function, *arguments) in finished.opened():
        # Neither the command itself nor the process that is forked reads any.
        work_dir = Path(arguments[arguments.index('--work-dir') + 1])
        readers[function].add((work_dir.parent.name, path.parts[0]))
    north, south = SITES
    assert readers[f'{training}:train_main'] == {(north, south), (south, north)}
    # The test does open the held-out site: the log would show such files above.
    assert readers[f'{training}:test_main'] == {(north, north), (south, south)}


def test_tables_and_plots_can_be_recreated_from_the_records_alone(finished, tmp_path):
    results = [path for path in finished.out.iterdir() if '_dice.' in path.name]
    assert len(results) == 5
    (tmp_path / 'records.jsonl').write_bytes(
        (finished.out / 'records.jsonl').read_bytes()
    )
    finished.out, out = tmp_path, finished.out
    try:
        process = finished.start('--tables-only', '--metrics', 'dice')
        output = process.communicate(timeout=WAIT_S)[0]
        assert process.returncode == 0, output
    finally:
        finished.out = out
    for path in results:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
