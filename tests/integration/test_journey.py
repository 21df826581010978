"""The first hour: from the folders of three hospitals to a deployed model.

The commands are those of the project's own README, with a shorter schedule.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from forked_program import start_forked
from mmengine.config import Config

from mcdrl_lab.plans.child_process import ChildProcess
from mcdrl_lab.plans.records import read_records

IMAGES = 8
SIZE = 64
EPOCHS = 3
SHORT = (
    '--cfg-options',
    f'train_cfg.max_epochs={EPOCHS}',
    'train_cfg.val_interval=1',
    f'param_scheduler.1.T_max={EPOCHS}',
    'default_hooks.logger.interval=1',
)
# Longer than any command takes unless it hangs.
WAIT_S = 600


def draw(rng, tint):
    """A smooth picture with one bright ellipse: image, mask and outline."""
    height, width = 80, 96
    coarse = rng.integers(40, 140, (5, 5, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * tint
    centre = tuple(int(n) for n in rng.integers(32, 48, 2))
    axes = tuple(int(n) for n in rng.integers(14, 22, 2))
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
    image[mask > 0] = 0.3 * image[mask > 0] + (56, 98, 140)
    outline = cv2.ellipse2Poly(centre, axes, 0, 0, 360, 10)
    return image.clip(0, 255).astype(np.uint8), mask, outline


def draw_hospitals(root: Path) -> None:
    """PNG masks of named patients, TIFF masks with a suffix, and COCO polygons."""
    rng = np.random.default_rng(0)
    for folder in (
        'north/photos',
        'north/annotations',
        'south/img',
        'south/seg',
        'west',
    ):
        (root / folder).mkdir(parents=True)
    images, annotations = [], []
    for number in range(IMAGES):
        image, mask, _ = draw(rng, (1.0, 1.0, 1.0))
        name = f'case{number // 2}_{number}'
        cv2.imwrite(str(root / f'north/photos/{name}.jpg'), image)
        cv2.imwrite(str(root / f'north/annotations/{name}.png'), mask)
        image, mask, _ = draw(rng, (1.2, 0.9, 0.8))
        cv2.imwrite(str(root / f'south/img/{number}.png'), image)
        cv2.imwrite(str(root / f'south/seg/{number}_mask.tif'), mask)
        image, _, outline = draw(rng, (0.7, 0.8, 1.1))
        cv2.imwrite(str(root / f'west/{number}.jpg'), image)
        height, width = image.shape[:2]
        images.append(
            dict(id=number, file_name=f'{number}.jpg', height=height, width=width)
        )
        polygon = outline.flatten().tolist()
        annotations.append(
            dict(id=number, image_id=number, category_id=1, segmentation=[polygon])
        )
    content = dict(
        images=images, annotations=annotations, categories=[dict(id=1, name='polyp')]
    )
    (root / 'west/export.json').write_text(json.dumps(content))


class Journey:
    """Runs commands in a folder as a user does, and notes how long each took."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = {}
        self.output: dict[str, str] = {}
        self.env = {
            **os.environ,
            'OMP_NUM_THREADS': '1',
            'MCDRL_CACHE_DIR': str(folder / 'cache'),
            # Nothing may be fetched.
            'HF_HUB_OFFLINE': '1',
            'http_proxy': 'http://127.0.0.1:9',
            'https_proxy': 'http://127.0.0.1:9',
        }

    def words(self, command: str) -> list[str]:
        """The words into which a shell splits a command."""
        split = ['bash', '-c', f"printf '%s\\0' {command}"]
        done = subprocess.run(split, cwd=self.folder, capture_output=True, check=True)
        return done.stdout.decode().split('\0')[:-1]

    @contextlib.contextmanager
    def start(self, step: str, command: str) -> Iterator[ChildProcess]:
        """Start a command as a fork, see :mod:`forked_program`, and note its time."""
        started = time.monotonic()
        words = self.words(command)
        own = dict(word.split('=') for word in words[: words.index('python')])
        arguments = words[words.index('python') + 1 :]
        log = self.folder / f'{step}.log'
        with start_forked(
            arguments, folder=self.folder, log=log, environment={**self.env, **own}
        ) as process:
            yield process
        self.seconds[step] = time.monotonic() - started
        self.output[step] = log.read_text()

    def run(self, step: str, command: str) -> str:
        with self.start(step, command) as process:
            code = process.wait(WAIT_S)
        assert code == 0, f'{command}\n{self.output[step][-4000:]}'
        return self.output[step]

    def commands(self) -> dict[str, str]:
        """The README's commands by the name of their program.

        A command that begins with a variable has this as its name.
        """
        text = (self.folder / 'my_project/README.md').read_text()
        blocks = re.findall(r'```bash\n(.*?)```', text, flags=re.DOTALL)
        lines = [line.strip() for block in blocks for line in block.splitlines()]
        programs = {}
        for line in filter(None, lines):
            words = line.split()
            if '=' in words[0]:
                programs[words[0]] = line
                continue
            lab = words[1:3] == ['-m', 'mcdrl_lab']
            programs[words[3] if lab else Path(words[1]).stem] = line
        return programs

    def kill_in_training(self, step: str, command: str) -> str:
        """Start a plan, and kill it while its first run trains."""
        end = time.monotonic() + WAIT_S
        plan = self.folder / 'my_project/work/plan'
        with self.start(step, command) as process:
            while not list(plan.glob('*/*/seed0/epoch_1.pth')):
                assert process.exitcode is None, f'{command} has ended'
                assert time.monotonic() < end
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGTERM)
            code = process.wait(WAIT_S)
        self.killed = code, self.output[step]
        return self.output[step]


@pytest.fixture(scope='module')
def journey(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp('journey')
    draw_hospitals(folder / 'raw')
    journey = Journey(folder)
    convert = 'python -m mcdrl_lab convert'
    journey.run(
        'convert, png masks',
        f'{convert} folder raw/north --site north --images photos --masks annotations '
        r"--class polyp --patient-pattern 'case(\d+)_' --out data",
    )
    journey.run(
        'convert, tif masks',
        f'{convert} folder raw/south --site south --images img --masks seg '
        '--mask-suffix _mask --class polyp --out data',
    )
    journey.run('convert, polygons', f'{convert} coco raw/west --site west --out data')
    journey.run(
        'new-project',
        f'python -m mcdrl_lab new-project data --out my_project --size {SIZE}',
    )
    commands = journey.commands()
    journey.run('verify', commands['verify'])
    short = ' '.join(SHORT)
    journey.run('train', f'{commands["train"]} {short}')
    plan = f'{commands["ablation"]} --seeds 1 {short}'
    journey.kill_in_training('hold out, until killed', plan)
    journey.run('hold out, gone on', plan)
    for step in ('compare', 'report', 'predict', 'export'):
        journey.run(step, commands[step])
    journey.run('train on all', f'{commands["MCDRL_HELD_OUT=none"]} {short}')
    image = next((folder / 'data/north/images').iterdir())
    journey.run('explain', commands['explain'].replace('IMAGE', str(image)))
    capture = request.config.pluginmanager.getplugin('capturemanager')
    with capture.global_and_fixture_disabled():
        print('\nWall time of each step:')
        for step, seconds in journey.seconds.items():
            print(f'  {step:<24} {seconds:6.1f} s')
        print(f'  {"all":<24} {sum(journey.seconds.values()):6.1f} s')
    return journey


def test_all_images_of_every_hospital_are_converted(journey):
    data = journey.folder / 'data'
    for site in ('north', 'south', 'west'):
        assert len(list((data / site / 'images').iterdir())) == IMAGES
        masks = [cv2.imread(str(p), -1) for p in (data / site / 'masks').iterdir()]
        assert len(masks) == IMAGES
        assert all(set(np.unique(mask)) == {0, 255} for mask in masks)
    rows = (data / 'index.csv').read_text().splitlines()
    assert len(rows) == 1 + 3 * IMAGES


def test_the_project_has_two_configs_a_plan_and_a_readme_with_all_commands(journey):
    folder = journey.folder / 'my_project'
    names = {path.name for path in folder.iterdir() if path.is_file()}
    assert names >= {'mcdrl.py', 'baseline.py', 'project.py', 'plan.yml', 'README.md'}
    assert list(journey.commands()) == [
        'verify',
        'train',
        'ablation',
        'compare',
        'report',
        'predict',
        'explain',
        'export',
        'MCDRL_HELD_OUT=none',
        'site-check',
    ]
    assert 'endo-lite0, pretrained on real endoscopy' in journey.output['new-project']


def test_the_intervention_begins_within_the_short_schedule(journey):
    folder = journey.folder / 'my_project/work/mcdrl'
    (file,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    gates = [line['gate'] for line in lines if 'gate' in line]
    assert gates[0] == 0
    assert gates[-1] == 1
    for step in ('predict', 'explain', 'export'):
        assert 'gate of this checkpoint is 0' not in journey.output[step]


def test_the_model_for_a_further_hospital_is_trained_on_all_of_these(journey):
    assert 'held out' not in journey.output['train on all']
    folder = journey.folder / 'my_project/work/all'
    assert len(list(folder.glob('best_*.pth'))) == 1
    trained = Config.fromfile(folder / 'mcdrl.py').train_dataloader.dataset
    assert [s.name for s in trained.sites] == ['north', 'south', 'west']


def test_a_plan_killed_in_training_resumes_and_completes_its_records(journey):
    code, output = journey.killed
    assert code == 130, output
    assert 'run the same command again to resume' in output
    assert ': resumed' in journey.output['hold out, gone on']
    records = read_records(journey.folder / 'my_project/work/plan/records.jsonl')
    done = {(record.method, record.held_out) for record in records}
    sites = ('north', 'south', 'west')
    assert done == {(m, site) for m in ('baseline', 'mcdrl') for site in sites}
    assert len(records) == 6
    assert {len(record.images) for record in records} == {IMAGES}


def test_comparison_and_report_cover_both_methods(journey):
    assert 'mcdrl' in journey.output['compare']
    assert 'baseline' in journey.output['compare']
    page = (journey.folder / 'my_project/report.html').read_text()
    for part in ('baseline', 'mcdrl', 'north', 'south', 'west', 'data:image/png'):
        assert part in page
    assert 'No picture of' not in page


def test_the_explanation_is_a_page_and_a_record(journey):
    (page,) = (journey.folder / 'my_project/work/explanations').glob('*.png')
    record = json.loads(page.with_suffix('.json').read_text())
    assert record['gate'] == 1
    assert len(record['confounders']) == 12


def test_onnxruntime_gives_the_masks_of_predict(journey):
    """By the lines that docs/deployment.md shows."""
    onnxruntime = pytest.importorskip('onnxruntime')
    work = journey.folder / 'my_project/work'
    session = onnxruntime.InferenceSession(work / 'model.onnx')
    about = session.get_modelmeta().custom_metadata_map
    size = json.loads(about['mcdrl.width']), json.loads(about['mcdrl.height'])
    assert size == (SIZE, SIZE)
    agree, lesion = [], []
    for path in sorted((journey.folder / 'data/north/images').iterdir()):
        image = cv2.imread(str(path))
        pixels = cv2.resize(image, size)[None, ..., ::-1].transpose(0, 3, 1, 2)
        (logits,) = session.run(['logits'], {'images': np.ascontiguousarray(pixels)})
        height, width = image.shape[:2]
        native = cv2.resize(logits[0].transpose(1, 2, 0), (width, height))
        predicted = cv2.imread(str(work / f'predictions/masks/{path.stem}.png'), -1)
        agree.append(((native.argmax(axis=2) > 0) == (predicted > 0)).mean())
        lesion.append((predicted > 0).mean())
    assert min(agree) >= 0.9998  # one pixel on an edge may round another way
    assert 0.01 < np.mean(lesion) < 0.99
