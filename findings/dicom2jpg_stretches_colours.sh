#!/usr/bin/env bash
# dicom2jpg stretches the colours of every image between its own darkest and brightest value.
#
# Expected: a colour image of 8 bits, as endoscopes write it, comes out with its colours, and a grey one as its window
#   says: according to its page, files look "like what we see on standard DICOM viewers".
# Happens: at the end the lowest value of all three colours becomes 0 and the highest 255. The same mucosa of (150, 70,
#   60) is (191, 21, 0) in one frame, and itself in the next, which has a highlight and a black corner. For grey images
#   the window is applied, and the result is stretched as well: 150 becomes 0. PNG and JPEG files are written in the
#   same way. No message.
# Versions: dicom2jpg 0.1.10, pydicom 3.0.2, OpenCV 5.0.0, NumPy 2.4.6.
# Why it matters: redness indicates inflammation. The colours of frames of one video depend on what else is in the
#   picture, and those of hospitals on whether their frames have black corners.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   mucosa; expected: (150, 70, 60) always
#   with a highlight and a black corner: (150, 70, 60), as PNG (150, 70, 60)
#   without them: (191, 21, 0), as PNG (191, 21, 0)
#   grey, window 0 to 255, with both: (150,), as PNG (150,)
#   grey, window 0 to 255, without them: (0,), as PNG (0,)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 opencv-python==5.0.0.93 pydicom==3.0.2 dicom2jpg==0.1.10
venv/bin/python -W ignore - <<'PY'
from pathlib import Path

import cv2
import dicom2jpg
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

MUCOSA = (150, 70, 60)
WINDOW = dict(WindowCenter=127.5, WindowWidth=255)


def written(name, pixels, **more):
    """A DICOM file of 8 bits: an endoscopic image of the standard's kind."""
    data, meta = Dataset(), FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = data.SOPClassUID = pydicom.uid.VLEndoscopicImageStorage
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = pydicom.uid.generate_uid()
    data.file_meta = meta
    data.Modality, data.PatientID, data.InstanceNumber = 'ES', name, 1
    data.Rows, data.Columns, data.SamplesPerPixel = pixels.shape
    data.PhotometricInterpretation = 'RGB' if pixels.shape[2] == 3 else 'MONOCHROME2'
    if pixels.shape[2] == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    for key, value in more.items():
        setattr(data, key, value)
    data.PixelData = pixels.tobytes()
    data.save_as(f'{name}.dcm', enforce_file_format=True)
    return f'{name}.dcm'


def mucosa(path):
    """The colour in the middle: of the file, as an array, and as PNG."""
    kept = np.squeeze(pydicom.dcmread(path).pixel_array)[20, 30]
    array = np.squeeze(dicom2jpg.dicom2img(path))[20, 30]
    dicom2jpg.dicom2png(path, target_root=path[:-4], multiprocessing=False)
    (file,) = Path(path[:-4]).rglob('*.png')
    png = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[20, 30]
    return [tuple(np.atleast_1d(value).tolist()) for value in (kept, array, png[::-1] if png.ndim else png)]


plain = np.full((40, 60, 3), MUCOSA, np.uint8)
plain[5:10, 5:10] = 180, 90, 80
lit = plain.copy()
lit[0, 0], lit[0, -1] = 0, 255
results = {
    'with a highlight and a black corner': mucosa(written('lit', lit)),
    'without them': mucosa(written('plain', plain)),
    'grey, window 0 to 255, with both': mucosa(written('grey_lit', lit[..., :1].copy(), **WINDOW)),
    'grey, window 0 to 255, without them': mucosa(written('grey', plain[..., :1].copy(), **WINDOW)),
}
print(f'mucosa; expected: {MUCOSA} always')
for name, (_, array, png) in results.items():
    print(f'{name}: {array}, as PNG {png}')
lit, plain, grey_lit, grey = results.values()
assert lit == [MUCOSA] * 3 and grey_lit == [(150,)] * 3
assert plain == [MUCOSA, (191, 21, 0), (191, 21, 0)]
assert grey == [(150,), (0,), (0,)]
PY
