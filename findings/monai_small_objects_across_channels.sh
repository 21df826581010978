#!/usr/bin/env bash
# MONAI's RemoveSmallObjects keeps a speck that touches another class, because it treats channels as neighbours.
#
# Expected: RemoveSmallObjects(min_size=20) treats each channel of a one-hot map on its own: independent_channels=True
#   is the default, so that small islands that adjoin another class are removed too. A speck of one pixel is removed,
#   whatever the other channels hold.
# Happens: objects are labelled in (channel, height, width) at once. With connectivity=2, by which pixels that touch at
#   a corner are one object, a speck of class 1 joins the background channel around it, one of class 2 the class 1
#   around it, and stays. With the default connectivity=1 the same happens where channels overlap, as "tumour" and
#   "organ" do: everything within the organ is kept, whatever its size. One channel at a time is correct. No message.
# Versions: monai 1.6.1, torch 2.13.0, scikit-image 0.26.0, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: it is the usual postprocessing step, and its result looks clean, because other specks are removed.
#   Which ones stay depends on what else was found there, and on the order of the classes.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   pixels of lesion and instrument: before, all channels at once, one at a time
#   one-hot, connectivity=1: 400 5 - 399 0 - 399 0
#   one-hot, connectivity=2: 400 5 - 400 1 - 399 0
#   overlapping, connectivity=1: 401 5 - 400 1 - 400 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 torch==2.13.0 monai==1.6.1
venv/bin/python -W ignore - <<'PY'
import torch
from monai.transforms import RemoveSmallObjects

# A lesion (1) of 20 x 20 pixels with one pixel of instrument (2) in it; apart from it a pixel of lesion, and four of
# instrument.
labels = torch.zeros(40, 40, dtype=torch.long)
labels[5:25, 5:25] = 1
labels[12, 12] = 2
labels[30, 30] = 1
labels[35:37, 10:12] = 2
one_hot = torch.nn.functional.one_hot(labels, 3).movedim(-1, 0).float()
# The same without a background; what is instrument within the lesion is lesion, too.
overlapping = one_hot[1:].clone()
overlapping[0, 12, 12] = 1


def pixels(name, channels, connectivity):
    """Pixels of the last two channels before, cleaned together, and cleaned apart."""
    clean = RemoveSmallObjects(min_size=20, connectivity=connectivity)
    together = clean(channels.clone())
    apart = torch.cat([clean(channels[i : i + 1].clone()) for i in range(len(channels))])
    counts = [[int(n) for n in maps[-2:].sum((1, 2))] for maps in (channels, together, apart)]
    print(f'{name}, connectivity={connectivity}:', ' - '.join(' '.join(map(str, pair)) for pair in counts))
    return counts


print('pixels of lesion and instrument: before, all channels at once, one at a time')
assert pixels('one-hot', one_hot, 1) == [[400, 5], [399, 0], [399, 0]]
assert pixels('one-hot', one_hot, 2) == [[400, 5], [400, 1], [399, 0]]
assert pixels('overlapping', overlapping, 1) == [[401, 5], [400, 1], [400, 0]]
PY
