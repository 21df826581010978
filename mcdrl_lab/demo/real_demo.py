"""The main job on real images: train on three hospitals, test on a fourth, draw."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .demo_steps import DemoError, find_config, print_heading, run_command

_NAME = 'clip-endo-lite0_segformer_demo_endoscopy-sites-160x160.py'
_METHODS = {'baseline': f'baselines/{_NAME}', 'mcdrl': f'mcdrl/mcdrl_{_NAME}'}
_HELD_OUT = 'polypgen_c1'
DATA_VARIABLE = 'MCDRL_DATA_ROOT'
_DEFAULT_DATA = 'data/endoscopy_sites'


def run_real_demo(work_dir: str) -> None:
    """Train baseline and MCDRL, test both on the held-out site, write a report.

    What is finished is not done again, an interrupted training goes on.

    Args:
        work_dir: Folder of the results.

    Raises:
        DemoError: The images are not found, or a step failed.
    """
    data_root = os.environ.get(DATA_VARIABLE) or _DEFAULT_DATA
    if not (Path(data_root) / _HELD_OUT).is_dir():
        raise DemoError(
            f'the six real sites are not in {data_root!r}. Set {DATA_VARIABLE} to '
            'the folder that holds polypgen_c1, polypgen_c2, ... (docs/datasets.md '
            'tells how to get and convert them).'
        )
    start = time.monotonic()
    out = Path(work_dir).resolve()
    runs, report = out / 'runs', out / 'report.html'
    data = str(Path(data_root).resolve())
    environment = {DATA_VARIABLE: data}

    print_heading(
        f'1/4  Training baseline and MCDRL on three hospitals, testing on {_HELD_OUT}'
    )
    plan = ['leave-one-site-out']
    plan += [f'{name}={find_config(config)}' for name, config in _METHODS.items()]
    plan += ['--sites', _HELD_OUT, '--seeds', '1', '--jobs', '2']
    run_command([*plan, '--out', str(runs)], environment)

    print_heading('2/4  What no network knows: a constant mask and a centre prior')
    run_command(['references', data], {})

    print_heading('3/4  The difference on the held-out hospital')
    run_command(['compare', str(runs / 'records.jsonl'), 'mcdrl', 'baseline'], {})

    print_heading('4/4  A report with pictures')
    pictures = ['--method', 'mcdrl', '--explanations', '--out', str(report)]
    run_command(['report', str(runs), *pictures], environment)

    print(
        'One seed and one held-out hospital: this shows that both learn, not which is '
        'better. docs/evidence.md says what is known of that.\n'
        f'Report       {report} (open it in a browser)\n'
        f'Tables       {runs}/table_dice.md, ...\n'
        f'Checkpoints  {runs}/METHOD/{_HELD_OUT}/seed0/best_*.pth\n'
        f'Took {(time.monotonic() - start) / 60:.1f} minutes.'
    )
