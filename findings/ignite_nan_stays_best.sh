#!/usr/bin/env bash
# If the first score is NaN, Ignite keeps that checkpoint as the best one for the whole training.
#
# Expected: Checkpoint(n_saved=1, score_function=...), which retains the "objects with highest scores", treats NaN as no
#   score, or as the worst: the first real score replaces it.
# Happens: nothing is greater than NaN. The checkpoint of the first validation stays, and no other is written in the
#   whole training. A later NaN does no harm. greater_or_equal=True does not help. The only sign is the file's name,
#   model_dice=nan.pt.
# Versions: pytorch-ignite 0.5.5, torch 2.13.0, NumPy 2.4.6.
# Why it matters: the first validation is where scores are undefined: a network that does not find anything yet
#   has no precision and no surface distance, and MONAI's HD95 is NaN then. After days of training the "best"
#   weights are those of the first epoch. Give -inf for NaN in the score function.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   best epoch of scores; expected: 3 always
#   0.1 0.5 0.8 0.7: 3 model_dice=0.8000.pt
#   0.1 nan 0.8 0.7: 3 model_dice=0.8000.pt
#   nan 0.5 0.8 0.7: 1 model_dice=nan.pt
#   nan 0.5 0.8 0.7, greater_or_equal: 1 model_dice=nan.pt
#   nan 0.5 0.8 0.7, -inf for NaN: 3 model_dice=0.8000.pt
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 pytorch-ignite==0.5.5
venv/bin/python -W ignore - <<'PY'
import math
import tempfile
from pathlib import Path

import torch
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, DiskSaver

NAN = math.nan


def best(scores, rule=lambda score: score, **options):
    """Epoch and file name of what is kept of a training with these validation scores."""
    model = torch.nn.Linear(1, 1, bias=False)
    validation = Engine(lambda engine, batch: None)

    @validation.on(Events.COMPLETED)
    def measure(engine):
        engine.state.metrics['dice'] = scores[int(model.weight) - 1]

    saver = DiskSaver(tempfile.mkdtemp(dir='.'), require_empty=False)
    keep = Checkpoint(
        {'model': model}, saver, n_saved=1, score_name='dice',
        score_function=lambda engine: rule(engine.state.metrics['dice']), **options,
    )  # fmt: skip
    validation.add_event_handler(Events.COMPLETED, keep)
    for epoch in range(1, len(scores) + 1):
        torch.nn.init.constant_(model.weight, epoch)
        validation.run([0])
    (file,) = Path(saver.dirname).iterdir()
    return int(torch.load(file)['weight']), file.name


USUAL, LATER, FIRST = (0.1, 0.5, 0.8, 0.7), (0.1, NAN, 0.8, 0.7), (NAN, 0.5, 0.8, 0.7)
results = {
    '': [(USUAL, best(USUAL)), (LATER, best(LATER)), (FIRST, best(FIRST))],
    ', greater_or_equal': [(FIRST, best(FIRST, greater_or_equal=True))],
    ', -inf for NaN': [(FIRST, best(FIRST, lambda score: -math.inf if math.isnan(score) else score))],
}
print('best epoch of scores; expected: 3 always')
for name, cases in results.items():
    for scores, (epoch, file) in cases:
        print(f'{" ".join(map(str, scores))}{name}: {epoch} {file}')
found = [epoch for cases in results.values() for _, (epoch, _) in cases]
assert 'Objects with highest scores will be retained' in ' '.join(Checkpoint.__doc__.split())
assert found == [3, 3, 1, 1, 3]
PY
