#!/usr/bin/env bash
# torchsampler assigns shuffled images the weights of other images: the classes stay as imbalanced as before.
#
# Expected: of ImbalancedDatasetSampler(dataset, labels, indices), the n-th label belongs to the n-th index, and
#   every class is drawn equally often.
# Happens: the labels are sorted by their indices before they become weights, the indices are not. Of sorted
#   indices, or without any, it is right: 50 % of what is drawn has a lesion. Of the same in the order of a random
#   split 10 % has, as without the sampler. No message.
# Versions: torchsampler 0.1.2, torch 2.13.0, torchvision 0.28.0, pandas 3.1.1, NumPy 2.4.6.
# Why it matters: images of a training set come from a random split, whose order is random. The sampler is there so that
#   rare lesions are seen; a training run that is reported as balanced is not.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   share of lesions in the data: 0.1; expected of what is drawn: 0.5
#   without indices: 0.5
#   800 indices, sorted: 0.5
#   the same, in the order of a random split: 0.1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 pandas==3.1.1 torch==2.13.0 torchvision==0.28.0 torchsampler==0.1.2
venv/bin/python -W ignore - <<'PY'
import numpy as np
import torch
from torchsampler import ImbalancedDatasetSampler

LESION = np.array([0] * 900 + [1] * 100)
dataset = torch.utils.data.TensorDataset(torch.arange(1000))
split = np.random.default_rng(0).permutation(1000)[:800]


def share_of_lesions(order):
    """Of the images that are drawn from these, with their own labels beside them."""
    torch.manual_seed(0)
    sampler = ImbalancedDatasetSampler(dataset, labels=LESION[order].tolist(), indices=order.tolist(), num_samples=4000)
    return round(float(np.mean([LESION[index] for index in sampler])), 2)


def all_images():
    torch.manual_seed(0)
    sampler = ImbalancedDatasetSampler(dataset, labels=LESION.tolist(), num_samples=4000)
    return round(float(np.mean([LESION[index] for index in sampler])), 2)


whole, ordered, shuffled = all_images(), share_of_lesions(np.sort(split)), share_of_lesions(split)
print(f'share of lesions in the data: {LESION.mean()}; expected of what is drawn: 0.5')
print('without indices:', whole)
print('800 indices, sorted:', ordered)
print('the same, in the order of a random split:', shuffled)
assert abs(whole - 0.5) < 0.03 and abs(ordered - 0.5) < 0.03
assert shuffled < 0.15
PY
