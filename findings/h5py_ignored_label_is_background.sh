#!/usr/bin/env bash
# h5py writes the label -1 into a dataset of uint8 as 0.
#
# Expected: -1, which marks pixels without ground truth, is refused, or wraps to 255 as NumPy's astype does.
# Happens: numbers out of range are clipped to the nearest valid one: -1 becomes 0, the background, and 300 becomes 255,
#   which often means that a pixel is ignored. The same when labels are read into a smaller type by astype or
#   read_direct, and NaN is 0. A dataset of int16 keeps them. No message.
# Versions: h5py 3.16.0, NumPy 2.4.6.
# Why it matters: whoever fills an HDF5 file of masks trains the unlabelled rim as background, and the object numbers of an
#   instance map above 255 become one object, or are ignored.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   labels: [-1, 0, 1, 2, 300]
#   NumPy: [255, 0, 1, 2, 44]
#   int16: [-1, 0, 1, 2, 300]
#   created: [0, 0, 1, 2, 255]
#   written: [0, 0, 1, 2, 255]
#   read by astype: [0, 0, 1, 2, 255]
#   read_direct: [0, 0, 1, 2, 255]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 h5py==3.16.0
venv/bin/python -W error - <<'PY'
import h5py
import numpy as np

labels = np.array([-1, 0, 1, 2, 300])
with h5py.File('masks.h5', 'w') as file:
    file['whole'] = labels.astype(np.int16)
    file.create_dataset('created', data=labels, dtype=np.uint8)
    written = file.create_dataset('written', shape=labels.shape, dtype=np.uint8)
    written[:] = labels
    read = np.zeros(5, np.uint8)
    file['whole'].read_direct(read)
    print('labels:', labels.tolist())
    seen = {
        'NumPy': labels.astype(np.uint8),
        'int16': file['whole'][:],
        'created': file['created'][:],
        'written': written[:],
        'read by astype': file['whole'].astype(np.uint8)[:],
        'read_direct': read,
    }
for name, values in seen.items():
    print(f'{name}:', values.tolist())
assert seen['NumPy'].tolist() == [255, 0, 1, 2, 44]
assert seen['int16'].tolist() == labels.tolist()
for name in ('created', 'written', 'read by astype', 'read_direct'):
    assert seen[name].tolist() == [0, 0, 1, 2, 255], name
PY
