#!/usr/bin/env bash
# ANTsPy converts signed integers to unsigned ones: air of -1000 in a CT becomes 4294966296, brighter than bone.
#
# Expected: ants.from_numpy of int16, the type of a CT, keeps the values, or raises an error. The help mentions an
#   array, not its sign.
# Happens: every integer type but uint8 becomes uint32: -1000 is 4294966296. The mean of air, water, liver and bone is a
#   billion. new_image_like and from_sitk do the same. Floats, and files read by image_read, are correct. The cast is
#   deliberate and silent (ANTsPy's pull request 665). No message.
# Versions: antspyx 0.6.3, SimpleITK 2.5.7, NumPy 2.3.5.
# Why it matters: nibabel, pydicom and SimpleITK return a CT as int16. Normalised by its largest value the body is black
#   and the air white; a threshold classifies air as bone; an ignored label of -1 becomes 4294967295.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: -1000 0 60 700 ; above 300: 1
#   floats: -1000 0 60 700 ; above 300: 1
#   int16: 4294966296 0 60 700 ; above 300: 2
#   int32: 4294966296 0 60 700 ; above 300: 2
#   int64: 4294966296 0 60 700 ; above 300: 2
#   new_image_like: 4294966296 0 60 700 ; above 300: 2
#   from_sitk: 4294966296 60 0 700 ; above 300: 2
#   a file of int16: -1000 60 0 700 ; above 300: 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.3.5 scipy==1.15.3 simpleitk==2.5.7 antspyx==0.6.3
venv/bin/python -W ignore - <<'PY'
import ants
import numpy as np
import SimpleITK as sitk

scan = np.array([[-1000, 0], [60, 700]], np.int16)  # air, water, liver and bone, in Hounsfield units


def values(name, image):
    found = [int(value) for value in image.numpy().ravel()]
    print(f'{name}:', *found, f'; above 300: {int((image.numpy() > 300).sum())}')
    return found


print('expected: -1000 0 60 700 ; above 300: 1')
wrapped = [4294966296, 0, 60, 700]
assert values('floats', ants.from_numpy(scan.astype(np.float32))) == scan.ravel().tolist()
for kind in (np.int16, np.int32, np.int64):
    assert values(kind.__name__, ants.from_numpy(scan.astype(kind))) == wrapped
assert values('new_image_like', ants.from_numpy(scan.astype(np.float32)).new_image_like(scan)) == wrapped
assert sorted(values('from_sitk', ants.from_sitk(sitk.GetImageFromArray(scan)))) == sorted(wrapped)
sitk.WriteImage(sitk.GetImageFromArray(scan), 'scan.nii.gz')
assert sorted(values('a file of int16', ants.image_read('scan.nii.gz'))) == sorted(scan.ravel().tolist())
PY
