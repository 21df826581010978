#!/usr/bin/env bash
# MMEngine's early stopping ends a training run whose Dice is still rising.
#
# Expected: EarlyStoppingHook(monitor='mDice') waits while the score rises. Its own documentation gives 0.01 as the
#   smallest gain that counts (min_delta); Keras and Lightning use 0.
# Happens: the default is 0.1. A Dice between 0 and 1 that gains 0.015 at each validation, from 0.6 on,
#   is "no improvement" after 6 validations, at 0.675. With percentages, as MMSegmentation's own
#   metric gives them, the same curve goes on.
# Versions: onedl-mmengine 0.10.12, torch 2.13.0.
# Why it matters: metrics of lesions, MONAI's and torchmetrics' among them, lie between 0 and 1. A method that learns
#   slowly is stopped first, and loses the comparison. Set min_delta.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected, min_delta 0.01 as documented: 0.945
#   happened: 0.675
#   min_delta 0: 0.945  in percent: 0.945
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 opencv-python-headless==5.0.0.93 onedl-mmengine==0.10.12
venv/bin/python -W ignore - <<'PY'
import logging
from types import SimpleNamespace

from mmengine.hooks import EarlyStoppingHook

CURVE = [0.6 + 0.015 * n for n in range(24)]


def last_score(scale=1, **options):
    """The score at which a training ends whose Dice rises all the time."""
    loop = SimpleNamespace(stop_training=False)
    runner = SimpleNamespace(train_loop=loop, logger=logging.getLogger('silent'))
    hook = EarlyStoppingHook(monitor='mDice', **options)
    for dice in CURVE:
        hook.after_val_epoch(runner, {'mDice': scale * dice})
        if loop.stop_training:
            break
    return round(dice, 3)


says = EarlyStoppingHook.__doc__.split('min_delta', 1)[1].split('Defaults to ', 1)[1][:4]
print('expected, min_delta', says, 'as documented:', last_score(min_delta=float(says)))
print('happened:', last_score())
print('min_delta 0:', last_score(min_delta=0), ' in percent:', last_score(scale=100))
assert says == '0.01'
assert last_score() == 0.675
assert {last_score(min_delta=0.01), last_score(min_delta=0), last_score(100)} == {0.945}
PY
