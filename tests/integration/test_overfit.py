"""A small model learns real masks, through tools/train.py."""

import json
import os
import subprocess
import sys

CONFIG = 'configs/mcdrl/mcdrl_clip-tiny-rn_segformer_overfit_endoscopy-sites-128x128.py'


def test_eight_real_images_are_fitted_to_a_foreground_dice_above_0_9(
    tmp_path, repo_root, data_root
):
    environment = {
        **os.environ,
        'MCDRL_DATA_ROOT': str(data_root),
        'MCDRL_CACHE_DIR': str(tmp_path / 'cache'),
        'OMP_NUM_THREADS': '2',
    }
    command = [sys.executable, 'tools/train.py', CONFIG, '--work-dir', str(tmp_path)]
    done = subprocess.run(
        command, cwd=repo_root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]

    # The score of the last validation, which ran after the last step.
    (scalars,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    scores = [line['mDice_fg'] for line in lines if 'mDice_fg' in line]
    assert scores[-1] > 0.9
