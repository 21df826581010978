#!/usr/bin/env bash
# In an iteration-based loop, MMEngine's schedule stays constant and no checkpoint is written before the end.
#
# Expected: schedule and CheckpointHook use the unit of their loop, or raise an error for the other unit.
# Happens: both count epochs unless told `by_epoch=False`, also in IterBasedTrainLoop, whose only epoch ends with the
#   training. PolyLR that is to fall to 0 stays at 1.0 for all 12 iterations, and CheckpointHook(interval=4) writes one
#   file, after the last. The help states the default, but not that an iteration loop never ends an epoch. No message.
# Versions: onedl-mmengine 0.10.12, torch 2.13.0.
# Why it matters: MMSegmentation's configs count iterations. A newly written schedule trains at the full rate, and a run
#   that is stopped after days has saved nothing.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   by_epoch=False: rates 1.0 0.64 0.27 - files before the last step 2 - iter_12.pth iter_4.pth iter_8.pth
#   default: rates 1.0 1.0 1.0 - files before the last step 0 - epoch_1.pth
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 opencv-python-headless==5.0.0.93 onedl-mmengine==0.10.12
venv/bin/python -W ignore - <<'PY'
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, inputs, mode):
        return {'loss': self.layer(torch.stack(inputs)).mean()}


class Watch(Hook):
    """Notes the rate of each step, and how many checkpoints there are after it."""

    priority = 'VERY_HIGH'

    def __init__(self):
        self.rates, self.files = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.rates.append(round(runner.optim_wrapper.get_lr()['lr'][0], 2))
        self.files.append(len(list(Path(runner.work_dir).glob('*.pth'))))


def train(name, **unit):
    watch = Watch()
    Runner(
        model=Net(),
        work_dir=name,
        train_dataloader=dict(
            batch_size=1,
            dataset=[{'inputs': torch.ones(1)}] * 8,
            sampler=dict(type='InfiniteSampler'),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=12),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.0)),
        param_scheduler=dict(type='PolyLR', power=1, begin=0, end=12, **unit),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=4, **unit)),
        custom_hooks=[watch],
        log_level='ERROR',
    ).train()
    return watch.rates, watch.files, sorted(path.name for path in Path(name).glob('*.pth'))


rates, files, names = train('iterations', by_epoch=False)
print('by_epoch=False: rates', *rates[::4], '- files before the last step', files[-1], '-', *names)
assert rates[0] == 1 > rates[4] > rates[8] > rates[11] and files[-1] == 2
assert names == ['iter_12.pth', 'iter_4.pth', 'iter_8.pth']
rates, files, names = train('default')
print('default: rates', *rates[::4], '- files before the last step', files[-1], '-', *names)
assert set(rates) == {1.0} and files[-1] == 0
assert names == ['epoch_1.pth']
PY
