#!/usr/bin/env bash
# After a resume, timm replaces model_best.pth.tar by the first model it saves, even a worse one.
#
# Expected: CheckpointSaver on the folder of the interrupted run keeps model_best.pth.tar until a better
#   one comes: the file holds its metric.
# Happens: a new saver does not know the previous best. The first epoch after the resume replaces the file, at a metric
#   of 0.6 where it was 0.9, and save_checkpoint reports it as the best. Older checkpoints are no longer counted,
#   either: max_history=2 leaves four. No message. The help does not mention resuming, and resume_checkpoint returns
#   only the epoch.
# Versions: timm 1.0.31, torch 2.13.0, torchvision 0.28.0, NumPy 2.4.6.
# Why it matters: jobs of a cluster are interrupted and resumed. The model that is tested at the end is the
#   best since the last interruption. Set best_metric by hand, from the metric in the file.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   metrics by epoch: 0.5 0.9 0.7 | 0.6 0.65; interrupted at the bar
#   not interrupted: best 0.9, checkpoints 2
#   resumed: expected 0.9, happened 0.65, checkpoints 4
#   resumed, best_metric set: best 0.9
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 timm==1.0.31
venv/bin/python -W ignore - <<'PY'
import sys
from pathlib import Path

import torch

# torchvision from PyPI next to a torch of another build fails at import for want of two
# declared operators; declaring them is all that it needs here.
library = torch.library.Library('torchvision', 'FRAGMENT')
try:
    import torchvision  # noqa: F401
except Exception:
    sys.modules.pop('torchvision', None)
    for name in ('nms', 'qnms'):
        library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
from timm.models import resume_checkpoint
from timm.utils import CheckpointSaver

BEFORE, AFTER = (0.5, 0.9, 0.7), (0.6, 0.65)


def run(folder, metrics, resume=None, known_best=False):
    """Some epochs of a training that saves after each."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    saver = CheckpointSaver(
        model, optimizer, checkpoint_dir=str(folder), recovery_dir=str(folder), decreasing=False, max_history=2
    )
    start = resume_checkpoint(model, str(folder / resume), optimizer, log_info=False) if resume else 0
    if known_best:
        saver.best_metric = torch.load(folder / 'model_best.pth.tar', weights_only=False)['metric']
    for epoch, metric in enumerate(metrics, start or 0):
        saver.save_checkpoint(epoch, metric)
    best = torch.load(folder / 'model_best.pth.tar', weights_only=False)['metric']
    return best, len(list(folder.glob('checkpoint-*')))


print('metrics by epoch:', *BEFORE, '|', *AFTER, end='; interrupted at the bar\n')
whole = run('whole', BEFORE + AFTER)
run('cut', BEFORE)
resumed = run('cut', AFTER, 'last.pth.tar')
run('told', BEFORE)
told = run('told', AFTER, 'last.pth.tar', known_best=True)
print(f'not interrupted: best {whole[0]}, checkpoints {whole[1]}')
print(f'resumed: expected 0.9, happened {resumed[0]}, checkpoints {resumed[1]}')
print('resumed, best_metric set: best', told[0])
assert whole == (0.9, 2)
assert resumed == (0.65, 4)
assert told[0] == 0.9
PY
