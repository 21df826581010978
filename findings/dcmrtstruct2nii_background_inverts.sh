#!/usr/bin/env bash
# dcmrtstruct2nii inverts the mask where the value of the background is not 0.
#
# Expected: pixels of the structure have mask_foreground_value, all others mask_background_value, from 0 to 255 each.
# Happens: each contour is combined by exclusive or with the slice so far, in which any value but 0 counts as structure. With
#   a background of 1 and a foreground of 2 the lesion is 1 and the rest of its slice 2, and of two contours in a slice
#   only the last is seen at all. Slices without a contour are right, and so is a background of 0. The help gives
#   the range of the values only. No message.
# Versions: dcmrtstruct2nii 5, pydicom 2.4.5, SimpleITK 2.5.7, scikit-image 0.26.0, NumPy 2.4.6.
# Why it matters: with classes from 1, where 0 is what is ignored, two lesions of 16 pixels become one of 4080.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   background, foreground; values of the first lesion, the second, the rest of their slice, another slice
#   (0, 255) [255, 255, 0, 0]
#   (0, 1) [1, 1, 0, 0]
#   (1, 2) [2, 1, 2, 1]
#   (10, 255) [255, 10, 255, 10]
#   pixels of foreground: 32 32 4080 4080
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 simpleitk==2.5.7 pydicom==2.4.5 dcmrtstruct2nii==5
venv/bin/python -W ignore - <<'PY'
import contextlib
import io
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

with contextlib.redirect_stdout(io.StringIO()):
    from dcmrtstruct2nii import dcmrtstruct2nii

SERIES, FRAME = generate_uid(), generate_uid()


def dataset(path, kind, modality):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    made.is_little_endian, made.is_implicit_VR = True, False
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = kind, meta.MediaStorageSOPInstanceUID, modality
    return made


def write_slice(path, number):
    made = dataset(path, CTImageStorage, 'CT')
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = FRAME, SERIES, FRAME
    made.InstanceNumber, made.ImagePositionPatient = number, [0, 0, number]
    made.ImageOrientationPatient, made.PixelSpacing, made.SliceThickness = [1, 0, 0, 0, 1, 0], [1, 1], 1
    made.Rows = made.Columns = 64
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, 'MONOCHROME2'
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
    made.RescaleSlope, made.RescaleIntercept = 1, 0
    made.PixelData = np.zeros((64, 64), np.int16).tobytes()
    made.save_as(path)


def square(low):
    outline, high = Dataset(), low + 4
    outline.ContourGeometricType, outline.NumberOfContourPoints = 'CLOSED_PLANAR', 4
    outline.ContourData = [low, low, 1, high, low, 1, high, high, 1, low, high, 1]
    return outline


Path('ct').mkdir()
for number in range(3):
    write_slice(Path('ct', f'{number}.dcm'), number)
structures, roi, contour = dataset('s.dcm', RTStructureSetStorage, 'RTSTRUCT'), Dataset(), Dataset()
roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = 1, 'Lesion', FRAME
contour.ReferencedROINumber, contour.ContourSequence = 1, Sequence([square(9.5), square(29.5)])
structures.StructureSetROISequence, structures.ROIContourSequence = Sequence([roi]), Sequence([contour])
structures.save_as('s.dcm')
sizes = []


def values(background, foreground):
    """Of two lesions of 4 x 4 pixels in the second of three slices."""
    dcmrtstruct2nii(
        's.dcm', 'ct', 'masks', mask_background_value=background, mask_foreground_value=foreground,
        convert_original_dicom=False,
    )
    mask = sitk.GetArrayFromImage(sitk.ReadImage('masks/mask_Lesion.nii.gz'))
    assert len(np.unique(mask[1, 10:14, 10:14])) == len(np.unique(mask[1, 30:34, 30:34])) == len(np.unique(mask[0])) == 1
    sizes.append(int((mask[1] == foreground).sum()))
    found = [int(mask[place]) for place in ((1, 10, 10), (1, 30, 30), (1, 50, 50), (0, 10, 10))]
    print((background, foreground), found)
    return found


print('background, foreground; values of the first lesion, the second, the rest of their slice, another slice')
assert values(0, 255) == [255, 255, 0, 0]
assert values(0, 1) == [1, 1, 0, 0]
assert values(1, 2) == [2, 1, 2, 1]
assert values(10, 255) == [255, 10, 255, 10]
print('pixels of foreground:', *sizes)
assert sizes == [32, 32, 64 * 64 - 16, 64 * 64 - 16]
PY
