import os

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from mcdrl_common import image_files
from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import NotAnImage, opened, read_image


@pytest.mark.parametrize('name', ['a.jpg', 'a.png'])
def test_jpeg_and_png_are_copied_byte_for_byte(make, tmp_path, name):
    source = make.image(name)
    image = read_image(source)
    target = tmp_path / f'copy{image.suffix}'
    image.write(target)
    assert image.suffix == source.suffix
    assert target.read_bytes() == source.read_bytes()
    assert image.size == (48, 64)


@pytest.mark.parametrize('name', ['a.tif', 'a.bmp'])
@pytest.mark.parametrize('mode', ['RGB', 'L', 'P', '1'])
def test_tif_and_bmp_become_png_without_loss(make, tmp_path, name, mode):
    values = np.asarray(Image.open(make.image('seed.png')))
    source = make.array(name, values, mode)
    image = read_image(source)
    target = tmp_path / f'a{image.suffix}'
    image.write(target)
    with Image.open(source) as before, Image.open(target) as after:
        assert after.format == 'PNG'
        assert np.array_equal(
            np.asarray(before.convert('RGB')), np.asarray(after.convert('RGB'))
        )


def test_lzw_compressed_tif_is_read(make, tmp_path):
    source = make.image('a.tif', compression='tiff_lzw')
    assert read_image(source).suffix == '.png'


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.tif'])
def test_truncated_images_are_noticed(make, name):
    source = make.image(name)
    source.write_bytes(source.read_bytes()[:-40])
    with pytest.raises(FileProblem) as error:
        read_image(source)
    assert error.value.kind == 'unreadable image'


@pytest.mark.parametrize('content', [b'', b'not an image'])
def test_files_that_are_no_image_are_noticed(download, content):
    path = download / 'a.jpg'
    path.write_bytes(content)
    with pytest.raises(FileProblem, match='unreadable image'):
        read_image(path)


def test_endings_follow_the_content(make):
    source = make.image('a.png')
    assert read_image(source.rename(source.with_suffix('.jpg'))).suffix == '.png'


def test_deep_tif_is_refused_as_it_would_lose_bits(make):
    source = make.array('a.tif', np.arange(600, dtype=np.uint16).reshape(20, 30))
    with pytest.raises(FileProblem, match='8-bit'):
        read_image(source)


def test_several_pages_are_refused(make, download):
    page = Image.open(make.image('a.png'))
    page.save(download / 'pages.tif', save_all=True, append_images=[page])
    with pytest.raises(FileProblem, match='2 pages'):
        read_image(download / 'pages.tif')


def test_images_that_readers_would_turn_are_refused(make):
    exif = Image.Exif()
    exif[0x0112] = 6
    with pytest.raises(FileProblem, match='EXIF orientation 6'):
        read_image(make.image('a.jpg', exif=exif))


def test_other_formats_are_refused(make):
    with pytest.raises(FileProblem, match='GIF'):
        read_image(make.image('a.gif'))


@pytest.mark.parametrize('image_format', ['EPS', 'ICO', 'PCX', 'TGA'])
def test_decoders_beyond_the_documented_ones_never_open_a_file(
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
def test_documented_formats_are_opened_by_content(
    make, download, image_format, known_as
):
    path = download / 'a.png'
    Image.open(make.image('seed.png')).save(path, format=image_format)
    with opened(path, 'image') as image:
        assert image.format == known_as


def test_a_photograph_with_a_smaller_copy_is_opened(make, download):
    page = Image.open(make.image('seed.png'))
    path = download / 'a.jpg'
    page.save(path, format='MPO', save_all=True, append_images=[page])
    with opened(path, 'image') as image:
        assert image.format == 'MPO'


def test_sixteen_bits_are_refused_as_verification_does(make, download):
    path = download / 'deep.png'
    cv2.imwrite(str(path), np.full((8, 8, 3), 60_000, np.uint16))
    with pytest.raises(FileProblem, match=r'unsupported image.*16 bits a channel'):
        read_image(path)


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
    # Of the largest image that is read at all, before the header is looked at.
    os.truncate(path, 16 * Image.MAX_IMAGE_PIXELS + 2**20 + 1)
    monkeypatch.setattr(Image, 'open', lambda *args, **options: loaded.append(1))
    refused = pytest.raises(FileProblem, match='bytes, more than any image')
    with refused, opened(path, 'image'):
        pass
    assert not loaded
