#!/usr/bin/env bash
# LIME never explains the last superpixel if superpixel numbers start at 1, as those of SLIC do.
#
# Expected: the superpixel that a prediction depends on gets the weight, whatever number it has. LIME's own wrapper,
#   SegmentationAlgorithm('slic'), fits it.
# Happens: superpixels are counted, and those with the numbers 0 to the count less 1 are switched on and off. Numbers that
#   begin at 1, SLIC's by default, have no 0 and one more at the end: the weight of 0 belongs to nothing, and the last
#   superpixel is shown in every sample and has no weight. A model that looks at nothing but the last of four has the
#   weights 0.95 by numbers from 0, and none above 0.001 by numbers from 1. The others are right. No message.
# Versions: lime 0.2.0.1, scikit-image 0.26.0, scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: the picture is made to show whether a network looks at the lesion. With superpixels in the lower right
#   corner, where watermarks and scopes' labels stand, or with a region of one's own that is numbered last, it says no.
#   alibi had the same bug and fixed it (its issue 748).
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   numbers of SLIC: [1, 2, 3, 4]
#   weights of four quarters, by the one that the model looks at
#   numbers from 0, looks at 0: [0.96, -0.01, -0.0, -0.0]
#   numbers from 0, looks at 1: [-0.01, 0.96, -0.0, -0.0]
#   numbers from 0, looks at 2: [-0.0, -0.0, 0.96, -0.0]
#   numbers from 0, looks at 3: [-0.0, -0.0, -0.0, 0.95]
#   numbers from 1, looks at 1: [0.96, -0.0, -0.0, nan]
#   numbers from 1, looks at 2: [-0.0, 0.96, -0.0, nan]
#   numbers from 1, looks at 3: [-0.0, -0.0, 0.95, nan]
#   numbers from 1, looks at 4: [0.0, 0.0, 0.0, nan]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
# Without matplotlib, which only its pictures need.
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 scikit-learn==1.9.1 tqdm==4.70.1
venv/bin/pip install --quiet --disable-pip-version-check --no-deps lime==0.2.0.1
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import numpy as np
from lime.lime_image import LimeImageExplainer
from lime.wrappers.scikit_image import SegmentationAlgorithm

image = np.full((40, 40, 3), 100, np.uint8)
quarters = np.arange(4).reshape(2, 2).repeat(20, axis=0).repeat(20, axis=1)


def weights(first, looked_at):
    def model(images):
        share = (np.asarray(images)[:, quarters == looked_at] > 0).mean((1, 2))
        return np.stack([1 - share, share], axis=1)

    explanation = LimeImageExplainer(random_state=0).explain_instance(
        image, model, labels=(1,), top_labels=None, hide_color=0, num_samples=200, segmentation_fn=lambda _: quarters + first
    )
    found = dict(explanation.local_exp[1])
    return [round(float(found.get(number, np.nan)), 2) for number in range(first, first + 4)]


slic = SegmentationAlgorithm('slic', n_segments=4, compactness=1000)(image)
print('numbers of SLIC:', np.unique(slic).tolist())
assert np.unique(slic).tolist() == [1, 2, 3, 4]
print('weights of four quarters, by the one that the model looks at')
for first in (0, 1):
    for looked_at in range(4):
        seen = weights(first, looked_at)
        print(f'numbers from {first}, looks at {looked_at + first}:', seen)
        if first == 1 and looked_at == 3:
            assert np.nanmax(np.abs(seen)) < 0.01 and np.isnan(seen[3])
        else:
            assert seen[looked_at] > 0.9 and np.nanmax(np.abs(np.delete(seen, looked_at))) < 0.05
PY
