"""The main job from images to results, with the commands that a user would type."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from mcdrl_mmseg.evaluation import read_records
from mcdrl_mmseg.evaluation.report_table import site_table

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (
    'configs/mcdrl/mcdrl_clip-tiny-rn_segformer_demo_endoscopy-sites-128x128_'
    'heldout-polypgen-c1.py'
)
DATA_VARIABLE = 'MCDRL_DATA_ROOT'
_DEFAULT_DATA = 'data/endoscopy_sites'
_DRAWN_IMAGES = 32


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why and what to do."""


def run_demo(work_dir: str) -> None:
    """Train, test on the held-out site, write overlays and a table of metrics.

    A finished training is not repeated, an interrupted one goes on.

    Args:
        work_dir: Folder of the results.

    Raises:
        DemoError: The images are not found, or a step failed.
    """
    data_root = os.environ.get(DATA_VARIABLE) or str(ROOT / _DEFAULT_DATA)
    if not (Path(data_root) / 'polypgen_c1').is_dir():
        raise DemoError(
            f'the six real sites are not in {data_root!r}. Set {DATA_VARIABLE} to '
            'the folder that holds polypgen_c1, polypgen_c2, ... (docs/datasets.md '
            'tells how to get and convert them).'
        )
    start = time.monotonic()
    out = Path(work_dir).resolve()
    environment = {
        **os.environ,
        DATA_VARIABLE: str(Path(data_root).resolve()),
        # Libraries of the stack warn at every import; they would bury the progress.
        'PYTHONWARNINGS': 'ignore',
    }

    _say('1/3  Training on three hospitals; polypgen_c1 is held out')
    if (out / 'finished').is_file():
        print(f'Already trained: {out}')
    else:
        _run(
            ['tools/train.py', CONFIG, '--work-dir', str(out), '--resume'], environment
        )
        (out / 'finished').touch()

    _say('2/3  Testing the best checkpoint on the held-out hospital')
    # The best one on the validation part of the training hospitals.
    best = max(out.glob('best_mDice_fg_*.pth'), key=lambda path: path.stat().st_mtime)
    records = out / 'polypgen_c1_records.json'
    overlays = out / 'overlays'
    test = ['tools/test.py', CONFIG, str(best), '--work-dir', str(out / 'test')]
    scored = f'test_evaluator.records_path={records}'
    _run([*test, '--cfg-options', scored], environment)
    # MMSegmentation takes longer to draw an image than to segment and score it.
    some = f'test_dataloader.dataset.max_images={_DRAWN_IMAGES}'
    _run([*test, '--show-dir', str(overlays), '--cfg-options', some], environment)

    _say('3/3  Results')
    table = site_table(read_records(records)['images'])
    (out / 'metrics.txt').write_text(table + '\n', encoding='utf-8')
    print(table)
    print(
        'The tower started from random weights and trained for minutes: this shows '
        'that everything works, not how well MCDRL segments.\n'
        f'Metrics      {out / "metrics.txt"}\n'
        f'Per image    {records}\n'
        f'Overlays     {overlays / "vis_data/vis_image"} of the first '
        f'{_DRAWN_IMAGES} images (truth left, prediction right)\n'
        f'Checkpoint   {best}\n'
        f'Took {(time.monotonic() - start) / 60:.1f} minutes.'
    )


def _say(text: str) -> None:
    print(f'\n=== {text}', flush=True)


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    print('$ python', shlex.join(arguments), flush=True)
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode != 0:
        raise DemoError(
            f'{arguments[0]} failed with exit code {done.returncode}; its messages '
            'stand above. Run the command again to go on where it stopped.'
        )
