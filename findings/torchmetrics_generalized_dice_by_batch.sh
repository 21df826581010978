#!/usr/bin/env bash
# The generalized Dice score of torchmetrics depends on which images share a batch, and on their order in it.
#
# Expected: GeneralizedDiceScore is a mean over images: the same images and masks have the same score, whatever the batch
#   size and the order, as with DiceScore.
# Happens: where an image lacks a class, its weight 1/size^2 is infinite and is replaced by the largest one of the batch.
#   In a batch of one that is 0, and false lesions in a healthy image cost next to nothing. In larger ones the
#   weights of the classes are put into the places of other images and classes: with two classes the lesion of an image
#   in the first half of the batch has the weight of the background. Two images have 0.871 in one order, 0.478 in the
#   other. weight_type="linear", which weights nothing, and DiceScore are as expected. No message.
# Versions: torchmetrics 1.9.0, torch 2.13.0, NumPy 2.4.6.
# Why it matters: of healthy images with false lesions the score is what the data loader makes of it. Sorted by patient
#   or shuffled, at another batch size or on another number of GPUs, one network has several scores.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   batches: generalized Dice, by weight_type="linear", DiceScore
#   healthy - lesion: 0.881 0.968 0.683
#   healthy lesion: 0.871 0.968 0.683
#   lesion healthy: 0.478 0.968 0.683
#   healthy lesion - clean small: 0.935 0.984 0.842
#   lesion small clean healthy: 0.703 0.984 0.842
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchmetrics==1.9.0
venv/bin/python -W ignore - <<'PY'
import torch
from torchmetrics.segmentation import DiceScore, GeneralizedDiceScore


def square(row, column, side):
    mask = torch.zeros(64, 64, dtype=torch.long)
    mask[row : row + side, column : column + side] = 1
    return mask


nothing = square(0, 0, 0)
# What is there, and what is found: a false lesion, one that is 2 pixels off, nothing where nothing is, a perfect one.
images = {
    'healthy': (nothing, square(5, 5, 12)),
    'lesion': (square(20, 20, 16), square(22, 22, 16)),
    'clean': (nothing, nothing),
    'small': (square(40, 8, 10), square(40, 8, 10)),
}


def scores(batches):
    values = []
    for metric in (
        GeneralizedDiceScore(2, input_format='index'),
        GeneralizedDiceScore(2, input_format='index', weight_type='linear'),
        DiceScore(2, input_format='index', average='macro'),
    ):
        for batch in batches.split(' - '):
            truth, found = zip(*(images[name] for name in batch.split()))
            metric.update(torch.stack(found), torch.stack(truth))
        values.append(round(float(metric.compute()), 3))
    print(f'{batches}:', *values)
    return values


print('batches: generalized Dice, by weight_type="linear", DiceScore')
assert scores('healthy - lesion') == [0.881, 0.968, 0.683]
assert scores('healthy lesion') == [0.871, 0.968, 0.683]
assert scores('lesion healthy') == [0.478, 0.968, 0.683]
assert scores('healthy lesion - clean small') == [0.935, 0.984, 0.842]
assert scores('lesion small clean healthy') == [0.703, 0.984, 0.842]
PY
