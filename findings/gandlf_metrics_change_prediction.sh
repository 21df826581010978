#!/usr/bin/env bash
# GaNDLF's metrics overwrite the prediction: Dice is higher after them, and on a CPU nothing is learned.
#
# Expected: a metric only reads the prediction. Dice does not depend on the metrics that are computed before it, and the
#   gradient of a loss does not depend on what is reported beside it.
# Happens: jaccard, sensitivity, specificity, Hausdorff and surface measures threshold their input to 0 and 1 at 0.5, in
#   an array that shares its memory with the tensor. Dice is 0.712 before Jaccard and 1.0 after. A training step takes
#   the loss, then the measures, then backward: of a softmax output the gradient is then exactly 0, as torch does not
#   see the change. On a GPU the array is a copy, and all is right. No message.
# Versions: gandlf 0.1.5, torch 2.13.0, torchio 0.19.6, torchmetrics 1.1.2, NumPy 1.26.4.
# Why it matters: training on a machine without a GPU makes no progress as soon as a second metric is listed, and scores
#   of a validation depend on the order of their names.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   Dice, largest gradient; expected: the same in each line
#   after no measure: 0.712, 0.0023
#   after dice: 0.712, 0.0023
#   after jaccard: 1.0, 0
#   after sensitivity: 1.0, 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==1.26.4 scipy==1.14.1 pandas==2.3.3 scikit-image==0.24.0 scikit-learn==1.5.2 SimpleITK==2.5.7 \
  opencv-python-headless==4.11.0.86 torch==2.13.0 torchio==0.19.6 torchmetrics==1.1.2 torchinfo==1.7.0 \
  panoptica==1.4.1 pyyaml tqdm colorlog deprecated
venv/bin/pip install --quiet --disable-pip-version-check --no-deps gandlf==0.1.5
venv/bin/python -W ignore - <<'PY'
import torch
from GANDLF.utils import one_hot  # isort: skip  (before the others, which import each other)
from GANDLF.losses.segmentation import MCD_loss
from GANDLF.metrics import global_metrics_dict as measures

CLASSES = [0, 1, 2]
params = dict(model=dict(num_classes=3, class_list=CLASSES, ignore_label_validation=None), penalty_weights=None)
labels = torch.zeros(1, 1, 12, 12, 1, dtype=torch.long)
labels[0, 0, 2:6, 2:6] = 1
labels[0, 0, 7:11, 3:9] = 2
truth = one_hot(labels, CLASSES)


def step(*names):
    """As in a training: the loss, then these measures, then backward. Dice afterwards, and the largest gradient."""
    logits = (2 * truth).requires_grad_()
    prediction = logits.softmax(1)
    loss = MCD_loss(prediction, truth, params)
    for name in names:
        measures[name](prediction, truth, params)
    loss.backward()
    dice = measures['dice'](prediction.detach(), truth, params)
    return round(float(dice), 3), float(logits.grad.abs().max())


results = {names: step(*names) for names in ((), ('dice',), ('jaccard',), ('sensitivity',))}
print('Dice, largest gradient; expected: the same in each line')
for names, (dice, gradient) in results.items():
    print(f'after {names[0] if names else "no measure"}: {dice}, {gradient:.2g}')
plain = results.pop(())
assert plain[0] < 0.8 and plain[1] > 1e-4
assert results.pop(('dice',)) == plain
assert set(results.values()) == {(1.0, 0.0)}
PY
