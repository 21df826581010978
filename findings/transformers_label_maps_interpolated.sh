#!/usr/bin/env bash
# The image processors of BEiT and DPT in transformers interpolate label maps.
#
# Expected: segmentation_maps are resized by nearest neighbour, as SegFormer's processor does.
# Happens: those of BEiT and DPT resize them as they do the image, bicubic: a map of 0 and 2 gets a rim of 1, a class
#   that is not there; one of 0 and 255, which is left out of the loss, gets two hundred classes. There is no message,
#   because the result is whole numbers again.
# Versions: transformers 5.24.0, Pillow 13.0.0, NumPy 2.4.6. The help of segmentation_maps does not speak
#   of resizing.
# Why it matters: fine-tuning one of them on lesions trains a wrong class at every outline, or fails
#   later, as a class number is too high; the ignored rim of a mask is no longer ignored.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   labels after the processor, of [0, 2] and number of labels of [0, 255]
#   expected, Segformer: [0, 2] 2
#   Beit: [0, 1, 2] 194
#   DPT: [0, 1, 2] 225
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 pillow==13.0.0 transformers==5.24.0
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import numpy as np
import transformers


def labels(name, value):
    truth = np.zeros((300, 400), np.uint8)
    rows, columns = np.ogrid[:300, :400]
    truth[(rows - 140) ** 2 + (columns - 190) ** 2 < 80**2] = value
    processor = getattr(transformers, f'{name}ImageProcessorPil')()
    image = np.repeat(truth[..., None], 3, axis=2)
    seen = processor(image, segmentation_maps=truth)['labels'][0]
    return np.unique(np.asarray(seen)).tolist()


print('labels after the processor, of [0, 2] and number of labels of [0, 255]')
seen = {name: (labels(name, 2), labels(name, 255)) for name in ('Segformer', 'Beit', 'DPT')}
for name, (two, ignored) in seen.items():
    print(f'{"expected, " if name == "Segformer" else ""}{name}:', two, len(ignored))
assert seen['Segformer'] == ([0, 2], [0, 255])
for name in ('Beit', 'DPT'):
    assert seen[name][0] == [0, 1, 2] and len(seen[name][1]) > 50
PY
