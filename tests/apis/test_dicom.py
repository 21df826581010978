import sys
from pathlib import Path

import numpy as np
import pytest

from mcdrl_mmseg.apis import ImageError, dicom
from mcdrl_mmseg.apis.dicom import count_frames, is_dicom, read_dicom
from mcdrl_mmseg.apis.inputs import Kind, find_inputs

pydicom = pytest.importorskip('pydicom')


@pytest.fixture
def save(tmp_path):
    """Writes an array as a DICOM file; of several frames the first axis is theirs."""

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


def test_colour_images_are_returned_blue_first(save):
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[...] = (10, 20, 30)
    (image,) = read_dicom(save(pixels, 'RGB'))
    assert (image == (30, 20, 10)).all()


def test_luminance_and_chrominance_are_converted_to_colour(save):
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


def test_the_window_applies_to_rescaled_values(save):
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


def test_more_than_eight_bits_without_a_window_are_stretched(save):
    pixels = np.array([[500, 600], [700, 1500]], np.uint16)
    shown = read_one(save(pixels, bits=12))
    np.testing.assert_array_equal(shown, [[0, 26], [51, 255]])


def test_monochrome1_is_inverted(save):
    pixels = np.array([[0, 100]], np.uint8)
    np.testing.assert_array_equal(read_one(save(pixels, 'MONOCHROME1')), [[255, 155]])


def item(**entries) -> 'pydicom.Dataset':
    data = pydicom.Dataset()
    for key, value in entries.items():
        setattr(data, key, value)
    return data


def window(center, width) -> 'pydicom.Dataset':
    voi = item(WindowCenter=center, WindowWidth=width)
    return item(FrameVOILUTSequence=[voi])


@pytest.mark.reliability('silent', 'DICOM of eight bits with a rescaling')
@pytest.mark.parametrize(
    ('slope', 'intercept', 'expected'),
    [(1, 0, [20, 100, 200]), (2, -50, [20, 100, 200]), (-1, 0, [55, 155, 235])],
)
def test_eight_bits_with_rescaling_are_not_stretched(save, slope, intercept, expected):
    pixels = np.array([[20, 100], [200, 100]], np.uint8)
    shown = read_one(save(pixels, RescaleSlope=slope, RescaleIntercept=intercept))
    np.testing.assert_array_equal(np.unique(shown), expected)


@pytest.mark.reliability('silent', 'DICOM of eight bits in sixteen')
def test_eight_bits_stored_in_sixteen_stay_as_they_are(save):
    pixels = np.array([[20, 100], [200, 90]], np.uint16)
    np.testing.assert_array_equal(read_one(save(pixels, bits=8)), pixels)


def test_bits_beyond_those_declared_as_stored_are_ignored(save):
    pixels = np.array([[0x1000, 100], [200, 0x80FF]], np.uint16)
    np.testing.assert_array_equal(
        read_one(save(pixels, bits=8)), [[0, 100], [200, 255]]
    )


def test_signed_eight_bits_keep_their_full_range(save):
    pixels = np.array([[-128, 0], [127, -28]], np.int8)
    np.testing.assert_array_equal(read_one(save(pixels)), [[0, 128], [255, 100]])


@pytest.mark.reliability('silent', 'DICOM with a window for each frame')
def test_each_frame_of_an_enhanced_object_has_its_own_window(save):
    # Hand-worked: 25 to 125 and 0 to 200 are black to white.
    pixels = np.full((2, 2, 4), 75, np.uint16)
    pixels[:, 0, 0] = 25
    path = save(
        pixels,
        bits=12,
        frames=2,
        PerFrameFunctionalGroupsSequence=[window(75.5, 101), item()],
        SharedFunctionalGroupsSequence=[window(100.5, 201)],
        WindowCenter=2000,
        WindowWidth=4000,
    )
    first, second = (image[..., 0] for image in read_dicom(path))
    assert (first[0, 0], first[1, 1]) == (0, 128)
    assert (second[0, 0], second[1, 1]) == (32, 96)


def test_each_frame_of_an_enhanced_object_has_its_own_rescaling(save):
    def rescaled(slope, intercept):
        values = item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType='US')
        return item(PixelValueTransformationSequence=[values])

    path = save(
        np.full((2, 2, 4), 50, np.uint16),
        bits=12,
        frames=2,
        PerFrameFunctionalGroupsSequence=[rescaled(1, 0), rescaled(2, 100)],
        SharedFunctionalGroupsSequence=[window(128, 256)],
    )
    assert [int(image[0, 0, 0]) for image in read_dicom(path)] == [50, 200]


@pytest.mark.reliability('silent', 'DICOM with frames and no window')
def test_frames_without_a_window_are_stretched_together(save):
    pixels = np.stack([np.full((2, 4), v, np.uint16) for v in (100, 200, 300)])
    path = save(pixels, bits=12, frames=3)
    assert [int(image[0, 0, 0]) for image in read_dicom(path)] == [0, 128, 255]


@pytest.mark.reliability('silent', 'DICOM with padding')
def test_padding_is_black_and_does_not_affect_the_stretch(save):
    pixels = np.array([[-2000, 0], [50, 100]], np.int16)
    shown = read_one(save(pixels, PixelPaddingValue=-2000))
    np.testing.assert_array_equal(shown, [[0, 0], [128, 255]])
    shown = read_one(save(pixels, 'MONOCHROME1', PixelPaddingValue=-2000))
    np.testing.assert_array_equal(shown, [[0, 255], [127, 0]])


@pytest.mark.reliability('silent', 'DICOM with empty entries')
def test_empty_entries_count_as_absent(save):
    pixels = np.array([[20, 100], [200, 90]], np.uint8)
    empty = dict.fromkeys(
        ('WindowCenter', 'WindowWidth', 'RescaleSlope', 'PixelPaddingValue')
    )
    shown = read_one(save(pixels, VOILUTSequence=[], **empty))
    np.testing.assert_array_equal(shown, pixels)


@pytest.mark.reliability('silent', 'DICOM with tables of other bits than declared')
@pytest.mark.parametrize(
    ('declared', 'entries', 'expected'),
    [
        (16, [0, 1024, 2048, 4095], [0, 64, 128, 255]),  # 12 bits hold it
        (8, [0, 1024, 2048, 4095], [0, 64, 128, 255]),  # 8 do not
        (12, [0, 1024, 2048, 1024], [0, 64, 128, 64]),
        (16, [0, 16384, 32768, 65535], [0, 64, 128, 255]),
    ],
)
def test_the_range_of_a_lookup_table_follows_its_entries(
    save, declared, entries, expected
):
    table = item(LUTDescriptor=[4, 10, declared], LUTData=entries)
    table['LUTDescriptor'].VR = table['LUTData'].VR = 'US'
    pixels = np.array([[5, 11], [12, 99]], np.uint16)
    shown = read_one(save(pixels, bits=12, VOILUTSequence=[table]))
    np.testing.assert_array_equal(shown.ravel(), expected)


def test_long_lookup_tables_of_eight_bits_do_not_wrap_around(save):
    entries = (np.arange(1024) // 4).astype(np.uint8)
    table = item(LUTDescriptor=[1024, 0, 8], LUTData=entries.tobytes())
    table['LUTDescriptor'].VR, table['LUTData'].VR = 'US', 'OW'
    pixels = np.array([[0, 400], [800, 1023]], np.uint16)
    shown = read_one(save(pixels, bits=12, VOILUTSequence=[table]))
    np.testing.assert_array_equal(shown, [[0, 100], [200, 255]])


def test_a_palette_of_eight_bits_stored_in_sixteen_is_not_black(save):
    palette = {}
    for name, value in [('Red', 10), ('Green', 20), ('Blue', 30)]:
        entries = np.full(256, value, '<u2').tobytes()
        palette[f'{name}PaletteColorLookupTableDescriptor'] = [256, 0, 16]
        palette[f'{name}PaletteColorLookupTableData'] = entries
    (image,) = read_dicom(save(np.zeros((2, 4), np.uint8), 'PALETTE COLOR', **palette))
    assert (image == (30, 20, 10)).all()


@pytest.mark.reliability('silent', 'DICOM without preamble')
@pytest.mark.parametrize('header', [True, False])
def test_files_without_preamble_are_recognised_by_content(save, tmp_path, header):
    pixels = np.array([[20, 100], [200, 90]], np.uint8)
    content = Path(save(pixels)).read_bytes()
    data = pydicom.dcmread(tmp_path / 'scan.dcm')
    path = tmp_path / 'folder' / 'IM0001.png'
    path.parent.mkdir()
    if header:
        path.write_bytes(content[132:])
    else:
        del data.file_meta
        data.preamble = None
        pydicom.dcmwrite(path, data, implicit_vr=True, little_endian=True)
        assert path.read_bytes()[128:132] != b'DICM'
    assert is_dicom(path)
    np.testing.assert_array_equal(read_one(path), pixels)
    for name in (path, path.parent):
        assert [file.kind for file in find_inputs([str(name)]).files] == [Kind.DICOM]


def test_an_invalid_number_of_frames_gives_an_error_that_names_the_file(save):
    path = save(np.zeros((2, 4), np.uint8))
    content = Path(path).read_bytes()
    number = b'\x28\x00\x08\x00IS\x02\x00xy'
    after = content.index(b'\x28\x00\x10\x00US')
    Path(path).write_bytes(content[:after] + number + content[after:])
    with pytest.raises(ImageError, match=r'scan\.dcm'):
        count_frames(path)


def test_frames_are_returned_in_order(save):
    pixels = np.stack([np.full((2, 4), 50 * n, np.uint8) for n in range(3)])
    path = save(pixels, frames=3)
    assert count_frames(path) == 3
    assert [int(image[0, 0, 0]) for image in read_dicom(path)] == [0, 50, 100]


@pytest.mark.parametrize('compressed', [False, True])
@pytest.mark.parametrize('frames', [None, 1, 2])
def test_more_frames_than_declared_are_refused_before_the_first_is_read(
    save, frames, compressed
):
    pixels = np.zeros((3, 2, 4), np.uint8)
    path = save(pixels, frames=3)
    data = pydicom.dcmread(path)
    if compressed:
        data.compress(pydicom.uid.RLELossless)
    if frames is None:
        del data.NumberOfFrames
    else:
        data.NumberOfFrames = frames
    data.save_as(path)
    held = '3 frames' if compressed else '24 bytes'
    with pytest.raises(
        ImageError, match=rf'scan\.dcm: .* has {held}; .*NumberOfFrames'
    ):
        next(read_dicom(path))


def test_pixel_data_may_end_with_one_byte_of_padding_and_no_more(save):
    odd = np.array([[1, 2, 3]], np.uint8)
    np.testing.assert_array_equal(read_one(save(odd, PixelData=b'\1\2\3\0')), odd)
    with pytest.raises(ImageError, match='pixel data has 6 bytes; expected 4 from '):
        next(read_dicom(save(odd, PixelData=b'\1\2\3\0\0\0')))


def test_compressed_frames_are_returned_as_stored(save):
    pixels = np.stack([np.full((2, 4), 50 * n, np.uint8) for n in range(3)])
    path = save(pixels, frames=3)
    data = pydicom.dcmread(path)
    data.compress(pydicom.uid.RLELossless)
    data.save_as(path)
    assert [int(image[0, 0, 0]) for image in read_dicom(path)] == [0, 50, 100]


def test_a_file_without_a_frame_count_is_one_image(save):
    assert count_frames(save(np.zeros((2, 4), np.uint8))) == 1


def test_dicom_files_are_recognised_by_content(save, tmp_path):
    path = save(np.zeros((2, 4), np.uint8))
    assert is_dicom(path)
    other = tmp_path / 'other.dcm'
    other.write_bytes(b'no DICOM')
    assert not is_dicom(other)
    assert not is_dicom(tmp_path / 'gone.dcm')
    assert not is_dicom(tmp_path)


def test_unreadable_files_are_named_in_the_error(save, tmp_path):
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


def test_without_pydicom_the_error_names_the_extra_to_install(save, monkeypatch):
    path = save(np.zeros((2, 4), np.uint8))
    monkeypatch.setitem(sys.modules, 'pydicom', None)
    with pytest.raises(ImageError, match=r'pip install .mcdrl-mmseg\[dicom\]'):
        next(read_dicom(path))


def test_too_many_pixels_are_refused_before_decoding(save):
    path = save(np.zeros((2, 4), np.uint8), Rows=20_000, Columns=20_000)
    with pytest.raises(ImageError, match=r'scan\.dcm: too many pixels: 20000 x 20000'):
        next(read_dicom(path))


@pytest.mark.reliability('security', 'a DICOM file that unpacks to far more')
@pytest.mark.parametrize('preamble', [True, False])
def test_a_deflated_file_is_not_unpacked_to_far_more_than_its_size(
    save, tmp_path, monkeypatch, preamble
):
    path = Path(save(np.full((40, 60, 3), (1, 2, 3), np.uint8), 'RGB'))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)
    (image,) = read_dicom(path)
    assert (image == (3, 2, 1)).all()
    monkeypatch.setattr(dicom, '_FREE_BYTES', 2**20)
    # Above the free bytes the limit is 20 times the size; zeros unpack to 1000 times.
    data.PixelData = bytes(2**20)
    data.save_as(path, enforce_file_format=True)
    if not preamble:
        path.write_bytes(path.read_bytes()[132:])
    unpacked = []
    monkeypatch.setattr(
        'pydicom.filereader.zlib.decompress', lambda *args: unpacked.append(args)
    )
    for use in (count_frames, lambda p: next(read_dicom(p))):
        with pytest.raises(ImageError, match=r'scan\.dcm: .*more than 20 times'):
            use(path)
    assert is_dicom(path) is preamble
    assert not unpacked


def test_a_damaged_deflated_file_is_named_in_the_error(save):
    path = Path(save(np.zeros((40, 60, 3), np.uint8), 'RGB'))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes()[:-20] + b'\xff' * 20)
    with pytest.raises(ImageError, match=r'scan\.dcm: '):
        next(read_dicom(path))


@pytest.mark.reliability('security', 'a DICOM file of millions of empty items')
@pytest.mark.parametrize('deflated', [False, True])
def test_a_file_with_too_many_sequence_items_is_refused(save, monkeypatch, deflated):
    monkeypatch.setattr(dicom, '_MAX_ITEMS', 100)
    path = Path(save(np.zeros((2, 4), np.uint8)))
    for count, refused in (100, False), (101, True):
        data = pydicom.dcmread(save(np.zeros((2, 4), np.uint8)))
        data.ReferencedImageSequence = [pydicom.Dataset() for _ in range(count)]
        if deflated:
            syntax = pydicom.uid.DeflatedExplicitVRLittleEndian
            data.file_meta.TransferSyntaxUID = syntax
        data.save_as(path, enforce_file_format=True)
        if not refused:
            assert len(list(read_dicom(path))) == 1
            continue
        with pytest.raises(
            ImageError, match=r'scan\.dcm: has more than 100 sequence items'
        ):
            next(read_dicom(path))


def test_a_sequence_item_across_two_blocks_is_counted_once(save, monkeypatch):
    monkeypatch.setattr(dicom, '_MAX_ITEMS', 3)
    path = save(np.zeros((2, 4), np.uint8))
    data = pydicom.dcmread(path)
    data.ReferencedImageSequence = [pydicom.Dataset() for _ in range(3)]
    data.save_as(path, enforce_file_format=True)
    for block in range(1, 12):
        monkeypatch.setattr(dicom, '_BLOCK', block)
        assert len(list(read_dicom(path))) == 1
    monkeypatch.setattr(dicom, '_MAX_ITEMS', 2)
    for block in range(1, 12):
        monkeypatch.setattr(dicom, '_BLOCK', block)
        with pytest.raises(ImageError, match='more than 2 sequence items'):
            next(read_dicom(path))


@pytest.mark.reliability('bad input', 'a DICOM image rescaled beyond all numbers')
def test_rescaling_to_infinite_values_is_refused(save):
    path = save(
        np.arange(8, dtype=np.uint8).reshape(2, 4),
        RescaleSlope='1e308',
        RescaleIntercept='1e308',
    )
    with pytest.raises(ImageError, match=r'scan\.dcm: .*NaN or infinite'):
        next(read_dicom(path))


def test_values_that_are_not_in_the_lowest_bits_are_refused(save):
    pixels = np.full((2, 4), 0x7FF0, np.uint16)
    with pytest.raises(
        ImageError, match=r'scan\.dcm: HighBit is 15 with BitsStored 12'
    ):
        list(read_dicom(save(pixels, bits=12, HighBit=15)))


@pytest.mark.parametrize('meaning', ['HSV', 'YBR_PARTIAL_422', 'YBR_ICT'])
def test_colours_of_an_unsupported_colour_space_are_refused(save, meaning):
    pixels = np.full((2, 4, 3), 100, np.uint8)
    with pytest.raises(ImageError, match=rf"PhotometricInterpretation '{meaning}'"):
        list(read_dicom(save(pixels, meaning)))


def test_colours_of_five_bits_are_scaled_to_the_full_range(save):
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[...] = (0, 16, 31)
    (image,) = read_dicom(save(pixels, 'RGB', bits=5))
    assert (image == (255, 132, 0)).all()
