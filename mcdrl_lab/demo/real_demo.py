"""The main job on real images: train on three hospitals, test on a fourth, draw."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mcdrl_common.image_records import read_records

from .demo_steps import DemoError, find_config, run_training, say

_CONFIG = 'mcdrl/mcdrl_clip-tiny-rn_segformer_demo_endoscopy-sites-128x128.py'
DATA_VARIABLE = 'MCDRL_DATA_ROOT'
_DEFAULT_DATA = 'data/endoscopy_sites'
_DRAWN_IMAGES = 32


def run_real_demo(work_dir: str) -> None:
    """Train, test on the held-out site, write overlays and a table of metrics.

    A finished training is not repeated, an interrupted one goes on.

    Args:
        work_dir: Folder of the results.

    Raises:
        DemoError: The images are not found, or a step failed.
    """
    data_root = os.environ.get(DATA_VARIABLE) or _DEFAULT_DATA
    if not (Path(data_root) / 'polypgen_c1').is_dir():
        raise DemoError(
            f'the six real sites are not in {data_root!r}. Set {DATA_VARIABLE} to '
            'the folder that holds polypgen_c1, polypgen_c2, ... (docs/datasets.md '
            'tells how to get and convert them).'
        )
    start = time.monotonic()
    out = Path(work_dir).resolve()
    config = find_config(_CONFIG)
    # Whatever site a user's own trainings hold out, the messages name this one.
    environment = {
        DATA_VARIABLE: str(Path(data_root).resolve()),
        'MCDRL_HELD_OUT': 'polypgen_c1',
    }

    say('1/3  Training on three hospitals; polypgen_c1 is held out')
    if (out / 'finished').is_file():
        print(f'Already trained: {out}')
    else:
        train = [config, '--work-dir', str(out), '--resume']
        run_training('train', train, environment)
        (out / 'finished').touch()

    say('2/3  Testing the best checkpoint on the held-out hospital')
    # The best one on the validation part of the training hospitals.
    best = max(out.glob('best_mDice_fg_*.pth'), key=lambda path: path.stat().st_mtime)
    records = out / 'polypgen_c1_records.json'
    overlays = out / 'overlays'
    test = [config, str(best), '--work-dir', str(out / 'test')]
    scored = f'test_evaluator.records_path={records}'
    run_training('test', [*test, '--cfg-options', scored], environment)
    # MMSegmentation takes longer to draw an image than to segment and score it.
    some = f'test_dataloader.dataset.max_images={_DRAWN_IMAGES}'
    draw = [*test, '--show-dir', str(overlays), '--cfg-options', some]
    run_training('test', draw, environment)

    say('3/3  Results')
    from mcdrl_mmseg.evaluation.report_table import site_table

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
