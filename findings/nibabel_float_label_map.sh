#!/usr/bin/env bash
# A float label map that nibabel saves with the header of its scan loses its labels.
#
# Expected: 0, 1 and 2 fit into int16 and come back as 0, 1 and 2.
# Happens: floats for a file of integers are always scaled to the full range of the type, whole numbers too. 1 comes
#   back as 1.0000153 and 2 as 1.9999999995: no pixel is == 1, and cast to uint8 label 2 is label 1. With a single label
#   1 is 0.9999999998: cast to uint8 the lesion is gone. The same labels as integers are kept. nibabel's page on scaling
#   says that floats are scaled, but not what happens to labels.
# Versions: nibabel 5.4.2, NumPy 2.4.6.
# Why it matters: masks of networks are often float32, and passing the scan's header on is what
#   tutorials do. Save integers, or set_data_dtype() on a copy of the header.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: values 0, 1, 2 and 36 pixels of label 1
#   integers: values [0.0, 1.0, 2.0], ==1: 36, as uint8 {1: 36, 2: 16}
#   floats:   values [0.0, 1.0000152587890625, 1.9999999995343387], ==1: 0, as uint8 {1: 52, 2: 0}
#   floats, one label: values [0.0, 0.9999999997671694], ==1: 0, as uint8 {1: 0, 2: 0}
#   floats, header of float32: as written
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 nibabel==5.4.2
venv/bin/python -W ignore - <<'PY'
import nibabel
import numpy as np

labels = np.zeros((8, 8, 4), np.int16)
labels[2:5, 2:5] = 1
several = labels.copy()
several[5:7, 5:7] = 2
scan = nibabel.Nifti1Image(np.zeros((8, 8, 4), np.int16), np.eye(4))


def read_back(array, header=scan.header):
    nibabel.save(nibabel.Nifti1Image(array, scan.affine, header), 'labels.nii')
    return nibabel.load('labels.nii').get_fdata()


def counted(read):
    values = [float(value) for value in np.unique(read)]
    kept = {value: int((read.astype(np.uint8) == value).sum()) for value in (1, 2)}
    return f'values {values}, ==1: {(read == 1).sum()}, as uint8 {kept}'


print('expected: values 0, 1, 2 and 36 pixels of label 1')
print('integers:', counted(read_back(several)))
print('floats:  ', counted(read_back(several.astype(np.float32))))
print('floats, one label:', counted(read_back(labels.astype(np.float32))))
assert np.array_equal(read_back(several), several)
wrong = read_back(several.astype(np.float32))
assert (several == 1).sum() == 36 and not (wrong == 1).any()
assert not (wrong.astype(np.uint8) == 2).any()
assert not read_back(labels.astype(np.float32)).astype(np.uint8).any()
header = scan.header.copy()
header.set_data_dtype(np.float32)
assert np.array_equal(read_back(several.astype(np.float32), header), several)
print('floats, header of float32: as written')
PY
