#!/usr/bin/env bash
# dcmrtstruct2nii writes all structures whose names have no Latin letters into one file, of which the last one stays.
#
# Expected: one mask for each structure of the RTSTRUCT file, or an error where two names give the same file.
# Happens: whatever is not ASCII is dropped from the name, and an existing file is replaced: lesion, liver and spleen, named
#   in Russian or in Chinese, give one file, "mask_.nii.gz", with the spleen. "Lesion 1" and "Lesion-1" share a file
#   too. The structures are listed with their names, and "Success!" is logged.
# Versions: dcmrtstruct2nii 5, pydicom 2.4.5, SimpleITK 2.5.7, scikit-image 0.26.0, NumPy 2.4.6.
# Why it matters: masks are lost without a word, and the one that stays has no name. A folder with a single mask looks like
#   a patient with a single lesion.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   English names: {'mask_Lesion.nii.gz': 16, 'mask_Liver.nii.gz': 64, 'mask_Spleen.nii.gz': 144}
#   German names: {'mask_Lasion.nii.gz': 16, 'mask_Leber.nii.gz': 64, 'mask_Milz.nii.gz': 144}
#   Russian names: {'mask_.nii.gz': 144}
#   Chinese names: {'mask_.nii.gz': 144}
#   numbered names: {'mask_Lesion-1.nii.gz': 64, 'mask_Lesion-2.nii.gz': 144}
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
    from dcmrtstruct2nii import dcmrtstruct2nii, list_rt_structs

SERIES, FRAME = generate_uid(), generate_uid()


def dataset(path, kind, modality):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    made.is_little_endian, made.is_implicit_VR = True, False
    made.SpecificCharacterSet = 'ISO_IR 192'
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


def write_structures(path, names):
    """Squares of 4, 8 and 12 pixels in the second slice."""
    made = dataset(path, RTStructureSetStorage, 'RTSTRUCT')
    metadata, contours = [], []
    for number, name in enumerate(names, 1):
        roi = Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, FRAME
        metadata.append(roi)
        low, high = 9.5, 9.5 + 4 * number
        outline = Dataset()
        outline.ContourGeometricType, outline.NumberOfContourPoints = 'CLOSED_PLANAR', 4
        outline.ContourData = [low, low, 1, high, low, 1, high, high, 1, low, high, 1]
        contour = Dataset()
        contour.ReferencedROINumber, contour.ContourSequence = number, Sequence([outline])
        contours.append(contour)
    made.StructureSetROISequence, made.ROIContourSequence = Sequence(metadata), Sequence(contours)
    made.save_as(path)


def converted(language, *names):
    """Number of pixels of each mask that is written."""
    folder = Path(language)
    folder.mkdir()
    write_structures(folder / 'structures.dcm', names)
    assert list_rt_structs(str(folder / 'structures.dcm')) == list(names)
    dcmrtstruct2nii(str(folder / 'structures.dcm'), 'ct', str(folder / 'masks'), convert_original_dicom=False)
    sizes = {}
    for path in sorted((folder / 'masks').iterdir()):
        sizes[path.name] = int((sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0).sum())
    print(f'{language} names:', sizes)
    return sizes


Path('ct').mkdir()
for number in range(3):
    write_slice(Path('ct', f'{number}.dcm'), number)
found = converted('English', 'Lesion', 'Liver', 'Spleen')
assert found == {'mask_Lesion.nii.gz': 16, 'mask_Liver.nii.gz': 64, 'mask_Spleen.nii.gz': 144}
found = converted('German', 'Läsion', 'Leber', 'Milz')
assert found == {'mask_Lasion.nii.gz': 16, 'mask_Leber.nii.gz': 64, 'mask_Milz.nii.gz': 144}
assert converted('Russian', 'Опухоль', 'Печень', 'Селезёнка') == {'mask_.nii.gz': 144}
assert converted('Chinese', '病灶', '肝', '脾') == {'mask_.nii.gz': 144}
found = converted('numbered', 'Lesion 1', 'Lesion-1', 'Lesion 2')
assert found == {'mask_Lesion-1.nii.gz': 64, 'mask_Lesion-2.nii.gz': 144}
PY
