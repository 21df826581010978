#!/usr/bin/env bash
# A voxel size set in nibabel changes only the header of the saved file, not its affine.
#
# Expected: header.set_zooms() changes the voxel size of the image that is saved, or is refused.
# Happens: the image keeps its affine, and the file has both. Read again, header.get_zooms() is the new size and the
#   affine has the old one. nibabel itself uses the header for mask_volume and the affine for resampling; SimpleITK
#   reads the new size, with a line on stderr. A tool's result depends on which one it reads.
# Known: nibabel's issue 668 (open since 2018).
# Versions: nibabel 5.4.2, NumPy 2.4.6, SimpleITK 2.5.7.
# Why it matters: a wrong or missing spacing is corrected in this way. Volumes, surface distances in mm and resampling
#   to a common spacing then disagree, here 80 and 64 mm^3 for one mask. Build a new image with a new affine.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: (0.5, 0.5, 5.0) from each, and 80 mm^3
#   header: (0.5, 0.5, 5.0)
#   affine: (1.0, 1.0, 1.0)
#   SimpleITK: (0.5, 0.5, 5.0)
#   mask_volume: 80.0  by the affine: 64.0
#   with a new affine: ({'header': (0.5, 0.5, 5.0), 'affine': (0.5, 0.5, 5.0), 'SimpleITK': (0.5, 0.5, 5.0)}, 80.0, 80.0)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 nibabel==5.4.2 simpleitk==2.5.7
venv/bin/python -W ignore - <<'PY'
import nibabel
import numpy as np
import SimpleITK
from nibabel.imagestats import mask_volume

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4)), 'mask.nii')


def sizes(path):
    image = nibabel.load(path)
    affine = nibabel.affines.voxel_sizes(image.affine)
    found = {
        'header': image.header.get_zooms(),
        'affine': affine,
        'SimpleITK': SimpleITK.ReadImage(path).GetSpacing(),
    }
    found = {name: tuple(float(value) for value in size) for name, size in found.items()}
    return found, float(mask_volume(image)), float(np.prod(affine)) * 64


image = nibabel.load('mask.nii')
image.header.set_zooms((0.5, 0.5, 5))
nibabel.save(image, 'repaired.nii')
anew = nibabel.Nifti1Image(np.asarray(image.dataobj), np.diag([0.5, 0.5, 5, 1]))
nibabel.save(anew, 'anew.nii')
found, volume, by_affine = sizes('repaired.nii')
print('expected: (0.5, 0.5, 5.0) from each, and 80 mm^3')
for name, size in found.items():
    print(f'{name}: {size}')
print('mask_volume:', volume, ' by the affine:', by_affine)
print('with a new affine:', sizes('anew.nii'))
assert set(sizes('anew.nii')[0].values()) == {(0.5, 0.5, 5.0)} and sizes('anew.nii')[1:] == (80, 80)
assert found == {'header': (0.5, 0.5, 5), 'affine': (1, 1, 1), 'SimpleITK': (0.5, 0.5, 5)}
assert (volume, by_affine) == (80, 64)
PY
