#!/usr/bin/env bash
# Quantus's weighted attribution localisation depends on the batch size.
#
# Expected: AttributionLocalisation(weighted=True) scores each image by its own attributions and its own mask, as it does
#   without weighted.
# Happens: the size of the mask is divided by the number of values of all images of the batch but the first two, as
#   x_batch[2:] stands where the shape of an image is meant: the score falls as batches grow, and is infinite in batches of
#   one or two, and so in the rest of a set. The same number decides when max_size warns. Without weighted scores are
#   right. No message.
# Versions: quantus 0.6.0, torch 2.13.0, NumPy 2.4.6.
# Why it matters: it says how much of an explanation lies within the lesion. Two methods, or two hospitals with sets of
#   other sizes, cannot be compared, and a mean over a set is infinite if one image is left over.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   scores of six copies of one image, by batches of 6, 4, 3 and 1
#   6: 0.526, weighted: 0.066 0.066 0.066 0.066 0.066 0.066
#   4: 0.526, weighted: 0.132 0.132 0.132 0.132 inf inf
#   3: 0.526, weighted: 0.263 0.263 0.263 0.263 0.263 0.263
#   1: 0.526, weighted: inf inf inf inf inf inf
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 quantus==0.6.0
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import numpy as np
import quantus

# Six copies of one image, its attributions and its mask, which is half of it.
images, masks = np.zeros((6, 1, 10, 10)), np.zeros((6, 1, 10, 10))
masks[:, :, :5] = 1
attributions = np.ones((6, 1, 10, 10))
attributions[:, :, 9] = 0.5


def scores(batch_size, weighted):
    metric = quantus.AttributionLocalisation(weighted=weighted, abs=True, disable_warnings=True)
    values = metric(
        model=None, x_batch=images, y_batch=np.zeros(6, int), a_batch=attributions, s_batch=masks, batch_size=batch_size
    )
    return [round(float(value), 3) for value in values]


print('scores of six copies of one image, by batches of 6, 4, 3 and 1')
for batch_size, expected in ((6, [0.066] * 6), (4, [0.132] * 4 + [np.inf] * 2), (3, [0.263] * 6), (1, [np.inf] * 6)):
    plain, weighted = scores(batch_size, False), scores(batch_size, True)
    print(f'{batch_size}: {plain[0]}, weighted:', *weighted)
    assert plain == [0.526] * 6
    assert weighted == expected
PY
