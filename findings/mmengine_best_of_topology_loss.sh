#!/usr/bin/env bash
# MMEngine saves the worst checkpoint as the best for a metric called topology_loss, accumulated_loss or top1_error.
#
# Expected: CheckpointHook(save_best='...') without a rule selects the lowest value of a metric that "contains 'loss'",
#   as its documentation says, and raises an error for a name that it cannot judge.
# Happens: names are searched for "acc", "top", "auc", "map" and others first, anywhere in a word. "topology_loss" and
#   "stop_loss" contain "top", "accumulated_loss" contains "acc", "mape" contains "map": the highest value counts as the
#   best, and best_*.pth is the worst checkpoint. EarlyStoppingHook uses the same rule. "hd95" raises an error,
#   "val_loss" is correct.
# Versions: onedl-mmengine 0.10.12, torch 2.13.0.
# Why it matters: errors of topology (Betti numbers, clDice) are a common metric for vessels and airways. The training
#   log reports a new "best checkpoint" at each new worst value. Give rule='less'.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   losses of the validations: 0.9 0.5 0.7 1.3
#   loss: keeps 0.5
#   val_loss: keeps 0.5
#   topology_loss: keeps 1.3
#   stop_loss: keeps 1.3
#   accumulated_loss: keeps 1.3
#   top1_error: keeps 1.3
#   mape: keeps 1.3
#   stopped while it falls, val_loss: False  topology_loss: True
#   hd95: Cannot infer the rule for key hd95, thus a specific rule must be specified.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 opencv-python-headless==5.0.0.93 onedl-mmengine==0.10.12
venv/bin/python -W ignore - <<'PY'
import logging
from types import SimpleNamespace

from mmengine.hooks import CheckpointHook, EarlyStoppingHook

CURVE = (0.9, 0.5, 0.7, 1.3)  # a loss, one value a validation


def kept(name, **options):
    """The value of the checkpoint that is kept as the best."""
    hook = CheckpointHook(save_best=name, **options)
    is_better, best = hook.is_better_than[name], None
    for value in CURVE:
        if best is None or is_better(value, best):
            best = value
    return best


def stops(name):
    """Whether early stopping ends a training whose loss falls at every validation."""
    loop = SimpleNamespace(stop_training=False)
    runner = SimpleNamespace(train_loop=loop, logger=logging.getLogger('silent'))
    hook = EarlyStoppingHook(monitor=name, min_delta=0, patience=3)
    for value in (0.9, 0.8, 0.7, 0.6, 0.5):
        hook.after_val_epoch(runner, {name: value})
    return loop.stop_training


said = ' '.join(CheckpointHook.__doc__.split())
assert "Keys contain 'loss' will be inferred by 'less' rule" in said
print('losses of the validations:', *CURVE)
wrong = ('topology_loss', 'stop_loss', 'accumulated_loss', 'top1_error', 'mape')
for name in ('loss', 'val_loss', *wrong):
    print(f'{name}: keeps {kept(name)}')
print('stopped while it falls, val_loss:', stops('val_loss'), ' topology_loss:', stops('topology_loss'))
assert kept('loss') == kept('val_loss') == kept('topology_loss', rule='less') == 0.5
assert {kept(name) for name in wrong} == {1.3}
assert (stops('val_loss'), stops('topology_loss')) == (False, True)
try:
    CheckpointHook(save_best='hd95')
except ValueError as error:
    print('hd95:', error)
else:
    raise AssertionError('hd95 was taken')
PY
