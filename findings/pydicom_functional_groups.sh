#!/usr/bin/env bash
# pydicom silently ignores the rescaling and the window of an enhanced image.
#
# Expected: apply_modality_lut() and apply_voi_lut() use the rescale slope and the window wherever the standard keeps
#   them, or report that they find none.
# Happens: both look only at the top level of the data set. An enhanced multi-frame object holds them in its functional
#   groups, so the stored values come back unchanged: 1000 where the object says 1000 - 1024 = -24 HU. The same values
#   at the top level are applied.
# Versions: pydicom 3.0.2, NumPy 2.4.6.
# Why it matters: an enhanced CT or MR frame is shown and segmented with another contrast
#   than the same frame as a classic object; CT values are off by 1024.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   stored:                  [[0, 100], [1000, 2000]]
#   expected (HU):           [[-1024.0, -924.0], [-24.0, 976.0]]
#   happened, enhanced:      [[0, 100], [1000, 2000]]
#   after the window as well: [[0, 100], [1000, 2000]]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pydicom==3.0.2
venv/bin/python -W ignore - <<'PY'
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian

RESCALE = {'RescaleSlope': '1', 'RescaleIntercept': '-1024', 'RescaleType': 'HU'}
WINDOW = {'WindowCenter': '40', 'WindowWidth': '400'}


def with_values(values, target):
    for name, value in values.items():
        setattr(target, name, value)
    return target


def image():
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = EnhancedCTImageStorage
    data.Rows = data.Columns = data.NumberOfFrames = 2
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = 'MONOCHROME2'
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit = 15
    data.PixelRepresentation = 0
    pixels = np.array([[[0, 100], [1000, 2000]]] * 2, '<u2')
    data.PixelData = pixels.tobytes()
    data['PixelData'].VR = 'OW'
    return data


enhanced = image()
groups = Dataset()
groups.PixelValueTransformationSequence = [with_values(RESCALE, Dataset())]
groups.FrameVOILUTSequence = [with_values(WINDOW, Dataset())]
enhanced.SharedFunctionalGroupsSequence = [groups]
classic = with_values(WINDOW, with_values(RESCALE, image()))

stored = enhanced.pixel_array
found = apply_modality_lut(stored, enhanced)
top = apply_modality_lut(stored, classic)
print('stored:                 ', stored[0].tolist())
print('expected (HU):          ', top[0].tolist())
print('happened, enhanced:     ', found[0].tolist())
print('after the window as well:', apply_voi_lut(found, enhanced)[0].tolist())
assert top[0].tolist() == [[-1024, -924], [-24, 976]]
assert np.array_equal(found, stored)
assert np.array_equal(apply_voi_lut(found, enhanced), stored)
assert not np.array_equal(apply_voi_lut(top, classic), top)
PY
