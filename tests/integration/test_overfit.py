"""A small model learns real masks, through tools/train.py."""

import json
import os

from forked_program import run_forked

CONFIG = 'configs/mcdrl/mcdrl_clip-tiny-rn_segformer_overfit_endoscopy-sites-128x128.py'
# Above 0.92 from epoch 80 on; the config itself trains for 200 epochs.
EPOCHS = 140


def test_eight_real_images_are_fitted_to_a_foreground_dice_above_0_9(
    tmp_path, repo_root, data_root
):
    environment = {
        **os.environ,
        'MCDRL_DATA_ROOT': str(data_root),
        'MCDRL_CACHE_DIR': str(tmp_path / 'cache'),
        # Two threads take more processor time in total than one.
        'OMP_NUM_THREADS': '1',
    }
    command = ['tools/train.py', CONFIG, '--work-dir', tmp_path, '--cfg-options']
    command += [f'train_cfg.max_epochs={EPOCHS}', f'train_cfg.val_interval={EPOCHS}']
    command += [f'param_scheduler.0.T_max={EPOCHS}']
    done = run_forked(
        command, folder=repo_root, log=tmp_path / 'log', environment=environment
    )
    assert done.returncode == 0, done.output[-3000:]

    # The score of the last validation, which ran after the last step.
    (scalars,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    scores = [line['mDice_fg'] for line in lines if 'mDice_fg' in line]
    assert scores[-1] > 0.9
