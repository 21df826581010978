import os
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from mcdrl_common import image_files
from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import NotAnImage, check_read_as_meant, opened


@pytest.mark.parametrize('image_format', ['EPS', 'ICO', 'PCX', 'TGA'])
def test_decoders_other_than_the_documented_ones_never_open_a_file(
    make, download, monkeypatch, image_format
):
    path = download / 'a.png'
    Image.open(make.image('seed.png')).save(path, format=image_format)

    def ghostscript(*args, **kwargs):
        raise AssertionError('Ghostscript was started')

    monkeypatch.setattr('PIL.EpsImagePlugin.Ghostscript', ghostscript)
    with pytest.raises(NotAnImage, match='not an image'), opened(path, 'image'):
        pass


@pytest.mark.parametrize(
    ('image_format', 'known_as'),
    [
        ('PNG', 'PNG'), ('JPEG', 'JPEG'), ('MPO', 'JPEG'), ('TIFF', 'TIFF'),
        ('BMP', 'BMP'), ('DIB', 'DIB'), ('WEBP', 'WEBP'), ('GIF', 'GIF'),
        ('JPEG2000', 'JPEG2000'), ('PPM', 'PPM'),
    ],
)  # fmt: skip
def test_documented_formats_are_recognised_by_their_content(
    make, download, image_format, known_as
):
    path = download / 'a.png'
    Image.open(make.image('seed.png')).save(path, format=image_format)
    with opened(path, 'image') as image:
        assert image.format == known_as


def test_an_mpo_photograph_with_a_second_image_is_opened(make, download):
    page = Image.open(make.image('seed.png'))
    path = download / 'a.jpg'
    page.save(path, format='MPO', save_all=True, append_images=[page])
    with opened(path, 'image') as image:
        assert image.format == 'MPO'


@pytest.mark.reliability('security', 'an image file that is far larger than its image')
@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'TIFF', 'BMP', 'WEBP'])
def test_a_file_far_larger_than_its_image_is_not_read(tmp_path, monkeypatch, kind):
    path = tmp_path / 'a.png'
    Image.new('RGB', (8, 6)).save(path, format=kind)
    monkeypatch.setattr(image_files, '_FREE_BYTES', 2**20)
    with opened(path, 'image') as image:
        assert image.size == (8, 6)
    # 16 bytes a pixel and a MiB are allowed; the hole in the file takes no disk.
    os.truncate(path, 16 * 48 + 2**20 + 1)
    loaded = []
    monkeypatch.setattr(ImageFile.ImageFile, 'load', lambda self: loaded.append(1))
    refused = pytest.raises(FileProblem, match=r'1049345 bytes.* 8 x 6 pixels')
    with refused, opened(path, 'image'):
        pass
    assert not loaded
    # Larger than any image that is read: refused before its header is read.
    os.truncate(path, 16 * Image.MAX_IMAGE_PIXELS + 2**20 + 1)
    monkeypatch.setattr(Image, 'open', lambda *args, **options: loaded.append(1))
    refused = pytest.raises(FileProblem, match='bytes, more than any image')
    with refused, opened(path, 'image'):
        pass
    assert not loaded


def _grey_tiff(path, values, photometric, planes=1):
    """Write an uncompressed TIFF file of 16 bits, which Pillow cannot write."""
    height, width = values.shape
    data = values.astype('<u2').tobytes() * planes
    entries = {
        256: (width,), 257: (height,), 258: (16,) * planes, 259: (1,),
        262: (photometric,), 277: (planes,), 278: (height,), 284: (min(planes, 2),),
    }  # fmt: skip
    ifd = ImageFileDirectory_v2()
    for tag, value in entries.items():
        ifd[tag] = value
    size = len(data) // planes
    # Counted from where the pixels begin: Pillow adds the length of what precedes them.
    ifd[273] = tuple(size * n for n in range(planes))
    ifd[279] = (size,) * planes
    path.write_bytes(b'II*\0' + struct.pack('<I', 8) + ifd.tobytes(8) + data)


@pytest.mark.parametrize(
    ('photometric', 'planes', 'message'),
    [(0, 1, '0 is white'), (2, 3, 'separate colour planes')],
)
@pytest.mark.parametrize('kind', ['image', 'mask'])
def test_deep_tiff_files_that_opencv_misreads_are_refused(
    tmp_path, photometric, planes, message, kind
):
    path = tmp_path / 'scan.tif'
    values = np.linspace(0, 65535, 48).reshape(6, 8)
    _grey_tiff(path, values, photometric, planes)
    with pytest.raises(FileProblem, match=message):
        check_read_as_meant(path, kind)
    if planes == 1:
        with pytest.raises(FileProblem, match=message), opened(path, kind):
            pass
    # 0 is black, as everywhere else.
    _grey_tiff(path, values, photometric=1)
    check_read_as_meant(path, kind)
    assert (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) == values.astype(int)).all()


@pytest.mark.parametrize('head', [b'P5 8 6 100\n', b'P5\n# by hand\n8 6\n100\n'])
def test_pnm_files_that_readers_interpret_differently_are_refused(tmp_path, head):
    path = tmp_path / 'scan.pgm'
    path.write_bytes(head + bytes(range(48)))
    message = 'maximum value 100.*255 or 65535'
    with pytest.raises(FileProblem, match=message), opened(path, 'image'):
        pass
    path.write_bytes(head.replace(b'100', b'255') + bytes(range(48)))
    with opened(path, 'image') as image:
        assert image.getpixel((7, 0)) == 7


def test_a_pnm_header_of_comment_signs_passes_the_check(tmp_path):
    path = tmp_path / 'scan.pgm'
    path.write_bytes(b'P5' + b'#' * 4000)
    check_read_as_meant(path)
