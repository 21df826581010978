"""Whole runs of the tools, as a user starts them, on a handful of images."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from few_blocks import few_blocks
from forked_program import run_forked, start_forked

_HERE = Path(__file__).resolve().parent
_REPO_ROOT = _HERE.parents[1]
_SITES = (
    'polypgen_c1',
    'polypgen_c2',
    'polypgen_c3',
    'polypgen_c4',
    'endotect_kvasir',
    'vocalfolds_larynx',
)
_TINY_CONFIG = 'mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128'
_IMAGES_OF_A_SITE = 20
# Longer than any run takes unless it hangs.
_TIME_LIMIT_S = 900
_FORKS = sys.platform.startswith('linux')


@dataclass
class Run:
    """One program that ran to its end.

    Attributes:
        returncode: Its exit status; negative for a signal.
        output: All its output to the terminal.
        work_dir: Its work folder.
        probe_dir: Folder of notes by the probe.
    """

    returncode: int
    output: str
    work_dir: Path
    probe_dir: Path

    @property
    def text_passes(self) -> list[int]:
        """Number of texts of each pass of a text tower."""
        file = self.probe_dir / 'text_passes'
        return [int(n) for n in file.read_text().split()] if file.is_file() else []

    def scalars(self) -> list[dict]:
        """Logged lines of the last start in the work folder, in order."""
        files = sorted(self.work_dir.glob('*/vis_data/scalars.json'))
        return [json.loads(line) for line in files[-1].read_text().splitlines()]

    def test_metrics(self) -> dict:
        """Metrics that tools/test.py left in the work folder."""
        (file,) = self.work_dir.glob('[0-9]*/[0-9]*.json')
        # Every rank writes MMEngine's file, in one piece each: behind the metrics there
        # may be the last digits of another rank's times.
        return json.JSONDecoder().raw_decode(file.read_text())[0]

    def checkpoint(self, name: str) -> dict:
        """A checkpoint of the work folder."""
        return torch.load(self.work_dir / name, weights_only=False)


def _excerpt(output: str) -> str:
    """The end of an output, and before it the lines that name an error."""
    errors = [line for line in output.splitlines() if 'Error' in line]
    return '\n'.join([*errors[:20], '...', output[-4000:]])


@dataclass
class Bench:
    """Starts programs in a folder of their own.

    Attributes:
        folder: Where runs keep their files.
        sites_root: Images.
        cache_dir: Cache of text embeddings.
        options: Overrides that every run of tools/train.py and tools/test.py gets.
    """

    folder: Path
    sites_root: Path
    cache_dir: Path
    options: list[str] = field(default_factory=list)

    def environment(self, probe_dir: Path) -> dict[str, str]:
        """Environment of a run."""
        return {
            **os.environ,
            'OMP_NUM_THREADS': '1',
            'MCDRL_DATA_ROOT': str(self.sites_root),
            'MCDRL_CACHE_DIR': str(self.cache_dir),
            'MCDRL_PROBE_DIR': str(probe_dir),
            # The caller's too: it may name another copy than the installed one.
            'PYTHONPATH': os.pathsep.join(
                filter(None, [str(_HERE / 'probe'), os.environ.get('PYTHONPATH')])
            ),
            'PYTHON': sys.executable,
        }

    def start(
        self,
        name: str,
        *command,
        check: bool = True,
        fresh: bool = True,
        **environment,
    ) -> Run:
        """Run a command in the bench's folder and wait for it.

        Args:
            name: Name of the run's folders.
            *command: The command; paths and numbers are turned to text.
            check: Fail the test, showing the output, unless it ends well.
            fresh: Whether it imports everything itself, as for a user. Otherwise a
                Python program is a fork of a process with the imports: that saves some
                6 s of processor time where the start is not what is tested.
            **environment: Further variables.
        """
        probe_dir = self.folder / f'probe_{name}'
        words = [str(part) for part in command]
        environment = {**self.environment(probe_dir), **environment}
        start = self._in_new_process if fresh or not _FORKS else self._in_fork
        code, output = start(words, environment)
        assert not check or code == 0, _excerpt(output)
        return Run(code, output, self.folder / name, probe_dir)

    def _in_new_process(self, words: list[str], environment: dict) -> tuple[int, str]:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIME_LIMIT_S,
        )
        return done.returncode, done.stdout

    def _in_fork(self, words: list[str], environment: dict) -> tuple[int, str]:
        python, *arguments = words
        assert python == sys.executable
        return run_forked(arguments, folder=self.folder, environment=environment)

    def start_ranks(self, name: str, *command) -> None:
        """Run a Python program in two forks that find each other as with torchrun.

        Args:
            name: Name of the folder of the probe, and of the logs.
            *command: The program and its arguments.
        """
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        joined = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2')
        shared = {**self.environment(self.folder / f'probe_{name}'), **joined}
        with contextlib.ExitStack() as stack:
            ranks = {}
            for rank in ('0', '1'):
                log = self.folder / f'{name}_rank{rank}.log'
                environment = {**shared, 'RANK': rank, 'LOCAL_RANK': rank}
                ranks[log] = stack.enter_context(
                    start_forked(
                        command, folder=self.folder, log=log, environment=environment
                    )
                )
            for log, process in ranks.items():
                assert process.wait(_TIME_LIMIT_S) == 0, _excerpt(log.read_text())

    def tool(
        self,
        name,
        tool,
        *arguments,
        check=True,
        work_dir=None,
        options=(),
        fresh=True,
        **environment,
    ):
        """Run tools/<tool>.py with the bench's overrides and further ones."""
        command = [sys.executable, _REPO_ROOT / 'tools' / tool, *arguments]
        command += ['--work-dir', self.folder / (work_dir or name)]
        options = [*self.options, *options]
        if options:
            command += ['--cfg-options', *options]
        run = self.start(name, *command, check=check, fresh=fresh, **environment)
        run.work_dir = self.folder / (work_dir or name)
        return run

    def config(self, name: str, *lines: str, base: str | None = None) -> Path:
        """Write a config on top of one of the repository's.

        Args:
            name: Name of the file, without suffix.
            *lines: Its content.
            base: Path below configs/; None takes the small tower's.
        """
        base = base or f'mcdrl/{_TINY_CONFIG}.py'
        path = self.folder / f'{name}.py'
        text = [
            f"_base_ = ['{_REPO_ROOT / 'configs' / base}']",
            "custom_imports = dict(imports=['mcdrl_mmseg', 'mcdrl_probe'],"
            ' allow_failed_imports=False)',
            *lines,
        ]
        path.write_text('\n'.join(text) + '\n')
        return path


def _draw_image(rng: np.random.Generator, has_lesion: bool) -> tuple:
    """A smooth brownish picture, with a bright ellipse for a lesion."""
    height, width = (int(n) for n in rng.integers(90, 150, 2))
    coarse = rng.integers(40, 160, (5, 5, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((height, width), np.uint8)
    if has_lesion:
        centre = (
            int(width * rng.uniform(0.3, 0.7)),
            int(height * rng.uniform(0.3, 0.7)),
        )
        axes = tuple(int(n) for n in rng.integers(20, 40, 2))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
        image[mask > 0] = 0.4 * image[mask > 0] + (60, 110, 150)
    return image, mask


def draw_site(folder: Path, has_lesion: list[bool], seed: int) -> None:
    """Write images and masks in the layout of a site."""
    rng = np.random.default_rng(seed)
    for part in ('images', 'masks'):
        (folder / part).mkdir(parents=True)
    for number, lesion in enumerate(has_lesion):
        image, mask = _draw_image(rng, lesion)
        name = f'{folder.name}_{number:03d}'
        cv2.imwrite(str(folder / 'images' / f'{name}.jpg'), image)
        cv2.imwrite(str(folder / 'masks' / f'{name}.png'), mask)


@pytest.fixture(scope='session')
def drawn_sites(tmp_path_factory) -> Path:
    """All six sites, with ten drawn images each."""
    root = tmp_path_factory.mktemp('drawn_sites')
    for seed, site in enumerate(_SITES):
        draw_site(root / site, [number % 4 != 3 for number in range(10)], seed)
    return root


@pytest.fixture(scope='session')
def site_drawer():
    """:func:`draw_site`."""
    return draw_site


@pytest.fixture(scope='session')
def sites_root(request, tmp_path_factory) -> Path:
    """Some images of the real sites, or drawn ones if there are none.

    A run reads all images of a site that it has not verified before: 6 s for all 1500.
    """
    named = os.environ.get('MCDRL_DATA_ROOT')
    root = Path(named) if named else _REPO_ROOT.parent / 'shared/data/endoscopy_sites'
    # Programs start in folders of their own.
    root = root.resolve()
    if not (root / 'manifest.csv').is_file():
        return request.getfixturevalue('drawn_sites')
    some = tmp_path_factory.mktemp('some_real_images')
    for site in _SITES:
        masks = some / site / 'masks'
        images = some / site / 'images'
        masks.mkdir(parents=True)
        images.mkdir()
        paths = sorted((root / site / 'images').iterdir())
        # Neighbours may be frames of one video.
        for path in paths[:: len(paths) // _IMAGES_OF_A_SITE]:
            shutil.copy(path, images)
            shutil.copy(root / site / 'masks' / f'{path.stem}.png', masks)
    return some


@pytest.fixture(scope='session')
def new_bench(tmp_path_factory):
    """Makes a bench: ``new_bench(name, sites_root)``."""

    def make(name: str, root: Path) -> Bench:
        folder = tmp_path_factory.mktemp(name)
        return Bench(folder, root, folder / 'cache')

    return make


@pytest.fixture(scope='session')
def clip_weights(tmp_path_factory) -> Path:
    """A whole CLIP of the small architecture, random, as safetensors."""
    from safetensors.torch import save_file

    from mcdrl_mmseg.clip.towers import CLIPSpec, build_image_tower, build_text_tower

    spec = CLIPSpec('mcdrl-tiny-rn')
    with torch.random.fork_rng():
        torch.manual_seed(7)
        towers = {'visual': build_image_tower(spec), 'text': build_text_tower(spec)}
    state = {
        f'{prefix}.{name}': value.detach().clone()
        for prefix, tower in towers.items()
        for name, value in tower.state_dict().items()
    }
    path = tmp_path_factory.mktemp('clip') / 'tiny.safetensors'
    save_file(state, path)
    return path


# Dropout, sampled confounders, flips in data workers and a moving gate: everything
# whose state a resumed run could lose. Validation is on the held-out site here, so
# that tools/test.py gets the same images as the training process.
_REFERENCE = """
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=0.4, ramp=1.2),
    dict(type='ProbeHook', kill_at_iter=None),
]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=-1))
model = dict(
    backbone=dict(pretrained={pretrained!r}),
    decode_head=dict(
        intervention=dict(approximation='sampling'),
        # Few steps on small lesions would else end in empty masks.
        predictor=dict(
            loss_decode=dict(
                _delete_=True, type='CrossEntropyLoss', class_weight=[0.05, 1.0]
            )
        ),
    ),
)
train_dataloader = dict(
    batch_size=4, num_workers=2, dataset=dict(max_images=4)
)
_held_out = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        sites=[dict(name='polypgen_c1', lesion_classes=['polyp'])],
        split='all',
        max_images=6,
    ),
)
val_dataloader = _held_out
test_dataloader = _held_out
val_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=True)
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=3)
"""


@dataclass
class Reference:
    """An uninterrupted training run and all that is needed to repeat it.

    Attributes:
        bench: Its bench, whose cache is warm after the run.
        config: Its config.
        weights: The file of CLIP's weights that the config names.
        run: The run.
    """

    bench: Bench
    config: Path
    weights: Path
    run: Run

    @property
    def best_epoch(self) -> int:
        """Epoch of the best checkpoint."""
        (best,) = self.run.work_dir.glob('best_mDice_fg_epoch_*.pth')
        return int(best.stem.rpartition('_')[2])

    @property
    def best_checkpoint(self) -> Path:
        """The best checkpoint."""
        return self.run.work_dir / f'best_mDice_fg_epoch_{self.best_epoch}.pth'

    def predictions(self, epoch: int) -> dict[str, dict]:
        """Image path -> mask and logits of the validation after an epoch."""
        return torch.load(self.run.probe_dir / f'predictions_epoch_{epoch}.pt')


@pytest.fixture(scope='session')
def reference(new_bench, sites_root, clip_weights) -> Reference:
    """Three epochs of tools/train.py from a local weights file.

    It is a fork: the tests of dist_train.sh and of the wheel start the tool in a new
    interpreter.
    """
    bench = new_bench('reference', sites_root)
    weights = bench.folder / 'clip.safetensors'
    weights.write_bytes(clip_weights.read_bytes())
    config = bench.config('reference', _REFERENCE.format(pretrained=str(weights)))
    run = bench.tool('unbroken', 'train.py', config, fresh=False)
    return Reference(bench, config, weights, run)
