#!/usr/bin/env bash
# kornia's connected_components counts one long lesion as hundreds.
#
# Expected: pixels that touch have one label, whatever the length of the lesion.
# Happens: labels spread by one pixel a step, for num_iterations=100 steps, and the function then
#   stops without a word. A bar of 320 pixels has 220 labels, one of 100 pixels has 1.
#   num_iterations of at least the longest path within a lesion is needed; a winding one is longer
#   than it looks.
# Versions: kornia 0.9.0, torch 2.13.0.
# Why it matters: lesions are counted, matched and filtered by size by such labels. Small test masks
#   come out right, and the large lesions of full-size images fall into pieces, each a false lesion.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: 1 for each length
#   lesions by length: {20: 1, 100: 1, 150: 50, 320: 220}
#   length 320, 400 iterations: 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 kornia==0.9.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
import torch
from kornia.contrib import connected_components


def count(length, **options):
    mask = torch.zeros(1, 1, 16, 400)
    mask[..., 8, 10 : 10 + length] = 1
    labels = connected_components(mask, **options)[mask > 0]
    return len(np.unique(labels.numpy()))


found = {length: count(length) for length in (20, 100, 150, 320)}
print('expected: 1 for each length')
print('lesions by length:', found)
print('length 320, 400 iterations:', count(320, num_iterations=400))
assert found[20] == found[100] == 1
assert found[150] == 50 and found[320] == 220
assert count(320, num_iterations=400) == 1
PY
