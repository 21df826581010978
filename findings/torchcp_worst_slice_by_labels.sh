#!/usr/bin/env bash
# torchcp searches for the worst slice by class numbers instead of coverage.
#
# Expected: WSC(features, sets, labels) is the coverage in the slice of feature space, of at least a tenth of the
#   images, where it is worst. Where one of seven images has a coverage of 0.5, and the others 0.95, it is about 0.5,
#   whatever the numbers of the classes.
# Happens: labels and coverage are swapped when they are passed to the search. The slice with the lowest class numbers
#   is taken, and the coverage there is near that of all images, here above it. With classes 0 and 1 exchanged, in
#   labels and sets alike, it is another slice.
# Versions: torchcp 1.2.1, torch 2.13.0, scikit-learn 1.9.1, NumPy 2.4.6.
# Why it matters: the score is meant to show that sets with valid average coverage fail for a kind of patient, a device
#   or a hospital. It hides the failure, in any data.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   coverage of all 0.882, of the 15% that fail 0.487
#   worst slice, expected: at most 0.485
#   worst slice, happened: 0.886, with the classes exchanged 0.893
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scikit-learn==1.9.1 tqdm torch==2.13.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps torchcp==1.2.1
venv/bin/python -W ignore - <<'PY'
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import torch

# The measures alone: other parts of the package import extensions that have to be compiled.
folder = Path(importlib.util.find_spec('torchcp').origin).parent
for name in ('torchcp', 'torchcp.classification', 'torchcp.classification.utils'):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [str(folder.joinpath(*name.split('.')[1:]))]
from torchcp.classification.utils.metrics import WSC, coverage_rate  # noqa: E402

random = np.random.default_rng(0)
features = random.normal(size=(2000, 2))
failing = features[:, 0] > 1
covered = random.random(2000) < np.where(failing, 0.5, 0.95)


def sets_of(labels):
    sets = np.ones((len(labels), 2), bool)
    sets[np.arange(len(labels)), labels] = covered
    return torch.tensor(sets)


def worst(labels):
    arrays = torch.tensor(features), sets_of(labels), torch.tensor(labels)
    return round(WSC(*arrays, delta=0.1, M=100), 3)


def worst_of_axes():
    """The lowest coverage of a tenth of the images in a row along one feature, by hand."""
    lowest = 1.0
    for axis in (0, 1):
        row = covered[np.argsort(features[:, axis])]
        lowest = min(lowest, min(row[start : start + 200].mean() for start in range(1801)))
    return lowest


labels = (features[:, 1] > 0).astype(int)
all_images = coverage_rate(sets_of(labels), torch.tensor(labels))
print(f'coverage of all {all_images:.3f}, of the {failing.mean():.0%} that fail {covered[failing].mean():.3f}')
print(f'worst slice, expected: at most {worst_of_axes():.3f}')
found, exchanged = worst(labels), worst(1 - labels)
print(f'worst slice, happened: {found}, with the classes exchanged {exchanged}')
assert worst_of_axes() < 0.6
assert np.isclose(all_images, covered.mean())
assert min(found, exchanged) > 0.75 and found != exchanged
PY
