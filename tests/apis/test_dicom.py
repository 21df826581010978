import sys

import numpy as np
import pytest

from mcdrl_mmseg.apis import ImageError
from mcdrl_mmseg.apis.dicom import count_frames, is_dicom, read_dicom

pydicom = pytest.importorskip('pydicom')


@pytest.fixture
def save(tmp_path):
    """Writes a DICOM file of an array: frames come first where there are several."""

    def save_array(pixels, kind='MONOCHROME2', bits=None, frames=None, **more) -> str:
        data = pydicom.Dataset()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = '1.2.840.10008.5.1.4.1.1.77.1.1'
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = '1.2.3'
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
        data.Modality = 'ES'
        shape = pixels.shape if frames is None else pixels.shape[1:]
        data.Rows, data.Columns = shape[:2]
        data.SamplesPerPixel = 3 if len(shape) == 3 else 1
        data.PhotometricInterpretation = kind
        data.BitsAllocated = 8 * pixels.itemsize
        data.BitsStored = bits or data.BitsAllocated
        data.HighBit = data.BitsStored - 1
        data.PixelRepresentation = int(pixels.dtype.kind == 'i')
        if data.SamplesPerPixel == 3:
            data.PlanarConfiguration = 0
        if frames is not None:
            data.NumberOfFrames = frames
        data.PixelData = pixels.tobytes()
        for key, value in more.items():
            setattr(data, key, value)
        path = tmp_path / 'scan.dcm'
        data.save_as(path, enforce_file_format=True)
        return str(path)

    return save_array


def read_one(path) -> np.ndarray:
    (image,) = read_dicom(path)
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert (image == image[..., :1]).all()
    return image[..., 0]


def test_colour_comes_blue_first(save):
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[...] = (10, 20, 30)
    (image,) = read_dicom(save(pixels, 'RGB'))
    assert (image == (30, 20, 10)).all()


def test_luminance_and_chrominance_become_colour(save):
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[...] = (76, 85, 255)  # pure red, by the definition of YBR_FULL
    (image,) = read_dicom(save(pixels, 'YBR_FULL'))
    np.testing.assert_allclose(image[0, 0], (0, 0, 254), atol=2)


def test_eight_bits_without_a_window_stay_as_they_are(save):
    pixels = np.array([[0, 100], [200, 90]], np.uint8)
    np.testing.assert_array_equal(read_one(save(pixels)), pixels)


def test_a_window_sets_what_is_black_and_white(save):
    # PS3.3 C.11.2.1.2: 101 values wide around 100.5 is 50 to 150.
    pixels = np.array([[0, 50], [100, 150], [1000, 125]], np.uint16)
    shown = read_one(save(pixels, bits=12, WindowCenter=100.5, WindowWidth=101))
    np.testing.assert_array_equal(shown, [[0, 0], [128, 255], [255, 191]])


def test_the_window_is_over_rescaled_values(save):
    pixels = np.array([[1000, 1050], [1100, 2000]], np.uint16)
    shown = read_one(
        save(
            pixels,
            bits=12,
            RescaleSlope=1,
            RescaleIntercept=-1000,
            WindowCenter=50.5,
            WindowWidth=101,
        )
    )
    np.testing.assert_array_equal(shown, [[0, 128], [255, 255]])


def test_more_bits_without_a_window_are_stretched(save):
    pixels = np.array([[500, 600], [700, 1500]], np.uint16)
    shown = read_one(save(pixels, bits=12))
    np.testing.assert_array_equal(shown, [[0, 26], [51, 255]])


def test_monochrome1_is_inverted(save):
    pixels = np.array([[0, 100]], np.uint8)
    np.testing.assert_array_equal(read_one(save(pixels, 'MONOCHROME1')), [[255, 155]])


def test_all_frames_come_in_order(save):
    pixels = np.stack([np.full((2, 4), 50 * n, np.uint8) for n in range(3)])
    path = save(pixels, frames=3)
    assert count_frames(path) == 3
    assert [int(image[0, 0, 0]) for image in read_dicom(path)] == [0, 50, 100]


def test_a_file_without_a_frame_count_is_one_image(save):
    assert count_frames(save(np.zeros((2, 4), np.uint8))) == 1


def test_files_are_known_by_their_content(save, tmp_path):
    path = save(np.zeros((2, 4), np.uint8))
    assert is_dicom(path)
    other = tmp_path / 'other.dcm'
    other.write_bytes(b'no DICOM')
    assert not is_dicom(other)
    assert not is_dicom(tmp_path / 'gone.dcm')
    assert not is_dicom(tmp_path)


def test_files_that_cannot_be_read_are_named(save, tmp_path):
    other = tmp_path / 'other.dcm'
    other.write_bytes(b'no DICOM')
    with pytest.raises(ImageError, match=r'other\.dcm: not a DICOM file'):
        next(read_dicom(other))
    with pytest.raises(ImageError, match=r'gone\.dcm: No such file'):
        count_frames(tmp_path / 'gone.dcm')
    path = save(np.zeros((8, 8), np.uint8))
    data = pydicom.dcmread(path)
    data.PixelData = bytes(10)
    data.save_as(path)
    with pytest.raises(ImageError, match=r'scan\.dcm: its image could not be decoded'):
        next(read_dicom(path))
    del data.PixelData
    data.save_as(path)
    with pytest.raises(ImageError, match=r'scan\.dcm: .* without an image .*ES'):
        next(read_dicom(path))


def test_without_pydicom_the_extra_is_named(save, monkeypatch):
    path = save(np.zeros((2, 4), np.uint8))
    monkeypatch.setitem(sys.modules, 'pydicom', None)
    with pytest.raises(ImageError, match=r'pip install .mcdrl-mmseg\[dicom\]'):
        next(read_dicom(path))
