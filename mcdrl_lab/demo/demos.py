"""The whole method in four steps, on simulated images and on real ones."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from .demo_steps import DemoError, find_config, print_heading, run_command

_SIMULATED = {
    'baseline': 'baselines/clip-tiny-rn_fcn_6e_endosim-128x128.py',
    'mcdrl': 'mcdrl/mcdrl_clip-tiny-rn_fcn-map_6e_endosim-128x128.py',
}
_NAME = 'clip-endo-lite0_segformer_demo_endoscopy-sites-160x160.py'
_REAL = {'baseline': f'baselines/{_NAME}', 'mcdrl': f'mcdrl/mcdrl_{_NAME}'}
DATA_VARIABLE = 'MCDRL_DATA_ROOT'
_DEFAULT_DATA = 'data/endoscopy_sites'


def run_demo(work_dir: str, images_per_site: int = 100, seeds: int = 3) -> None:
    """Draw EndoSim, train baseline and MCDRL without one site, test both there.

    No data set, no weights and no GPU are needed. Finished steps are skipped, and an
    interrupted training resumes.

    Args:
        work_dir: Folder of the data and the results.
        images_per_site: Images drawn of each of the five sites.
        seeds: Trainings of each of the two methods.

    Raises:
        DemoError: A step failed.
    """
    start = time.monotonic()
    out = Path(work_dir).resolve()
    data, held_out = out / 'endosim', 'endosim_a'
    environment = {'MCDRL_ENDOSIM_ROOT': str(data)}

    print_heading('1/4  Drawing five simulated hospitals with known confounders')
    draw = ['simulate', str(data), '--spurious', '1.0']
    run_command([*draw, '--images-per-site', str(images_per_site), '--seed', '0'], {})

    print_heading(
        f'2/4  Training baseline and MCDRL on four of them, testing on {held_out}'
    )
    _train(_SIMULATED, held_out, seeds, out, environment)
    _compare_and_report(out, environment)
    print(
        'The images are simulated, and the CLIP is the small one of the package: this '
        'shows how the method works, not how well it does on patients. One of five '
        'sites is held out; over all five (docs/evidence.md) the gain is smaller.'
    )
    _print_places(out, held_out, start, data)


def run_real_demo(work_dir: str) -> None:
    """Train baseline and MCDRL on three hospitals, test both on a fourth.

    Finished steps are skipped, and an interrupted training resumes.

    Args:
        work_dir: Folder of the results.

    Raises:
        DemoError: The images are not found, or a step failed.
    """
    start, held_out = time.monotonic(), 'polypgen_c1'
    data_root = Path(os.environ.get(DATA_VARIABLE) or _DEFAULT_DATA)
    if not (data_root / held_out).is_dir():
        raise DemoError(
            f'the six real sites are not in {str(data_root)!r}. Set {DATA_VARIABLE} to '
            'the folder that holds polypgen_c1, polypgen_c2, ... (docs/datasets.md '
            'says how to get and convert them).'
        )
    out, data = Path(work_dir).resolve(), str(data_root.resolve())
    environment = {DATA_VARIABLE: data}

    print_heading(
        f'1/4  Training baseline and MCDRL on three hospitals, testing on {held_out}'
    )
    _train(_REAL, held_out, 1, out, environment)

    print_heading(
        '2/4  References without a network: a constant mask and a centre prior'
    )
    run_command(['references', data], {})
    _compare_and_report(out, environment)
    print(
        'One seed and one held-out hospital: this shows that both learn, not which is '
        'better. docs/evidence.md says what is known about that.'
    )
    _print_places(out, held_out, start)


def _train(
    methods: Mapping[str, str],
    held_out: str,
    seeds: int,
    out: Path,
    environment: Mapping[str, str],
) -> None:
    plan = ['leave-one-site-out']
    plan += [f'{name}={find_config(config)}' for name, config in methods.items()]
    plan += ['--sites', held_out, '--seeds', str(seeds), '--jobs', '2']
    run_command([*plan, '--out', str(out / 'runs')], environment)


def _compare_and_report(out: Path, environment: Mapping[str, str]) -> None:
    print_heading('3/4  The difference on the held-out hospital')
    records = str(out / 'runs' / 'records.jsonl')
    run_command(['compare', records, 'mcdrl', 'baseline'], {})

    print_heading('4/4  A report with pictures')
    pictures = ['--method', 'mcdrl', '--explanations', '--out']
    report = str(out / 'report.html')
    run_command(['report', str(out / 'runs'), *pictures, report], environment)


def _print_places(
    out: Path, held_out: str, start: float, images: Path | None = None
) -> None:
    print(
        f'Report       {out / "report.html"} (open it in a browser)\n'
        f'Tables       {out / "runs"}/table_dice.md, ...\n'
        f'Checkpoints  {out / "runs"}/METHOD/{held_out}/seedN/best_*.pth'
    )
    if images is not None:
        print(f'Images       {images}')
    print(f'Took {(time.monotonic() - start) / 60:.1f} minutes.')
