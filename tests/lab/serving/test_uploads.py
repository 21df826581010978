import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mcdrl_lab.serving.uploads import MAX_PIXELS, UploadError, read_upload


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return (
        struct.pack('>I', len(content)) + kind + content + struct.pack('>I', checksum)
    )


def png_header(width: int, height: int) -> bytes:
    """A PNG that ends after its header, before any pixel."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + png_chunk(b'IHDR', header)


@pytest.mark.parametrize('image_format', ['PNG', 'BMP', 'TIFF'])
def test_lossless_formats_keep_every_pixel(encode, pixels, image_format):
    read = read_upload(encode(pixels, image_format))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


def test_jpeg_is_read_in_rgb_order(encode, pixels):
    read = read_upload(encode(pixels, 'JPEG', quality=98, subsampling=0))
    assert np.abs(read.astype(int) - pixels).mean() < 2


def test_image_is_rotated_by_its_exif_orientation(encode, pixels):
    exif = Image.Exif()
    exif[0x0112] = 6  # Rotate by 90 degrees clockwise.
    read = read_upload(encode(pixels, 'PNG', exif=exif))
    np.testing.assert_array_equal(read, np.rot90(pixels, -1))


@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'RGBA'])
def test_greyscale_palette_and_alpha_images_become_three_channels(encode, mode):
    grey = Image.fromarray(np.full((20, 30), 255, np.uint8))
    read = read_upload(encode(grey.convert(mode), 'PNG'))
    np.testing.assert_array_equal(read, np.full((20, 30, 3), 255))


@pytest.mark.reliability(
    'security', 'web page: files of another type, whatever they are called'
)
@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'<html><script>alert(1)</script></html>',
        b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>',
        b'%PDF-1.7',
        b'PK\x03\x04' + bytes(100),
    ],
    ids=['empty', 'html', 'svg', 'pdf', 'zip'],
)
def test_files_that_are_not_images_are_refused(content):
    with pytest.raises(UploadError, match='not a PNG, JPEG, BMP or TIFF image'):
        read_upload(content)


@pytest.mark.parametrize('image_format', ['GIF', 'WEBP', 'PPM', 'ICO'])
def test_unsupported_image_formats_are_refused(encode, pixels, image_format):
    with pytest.raises(UploadError, match='not a PNG, JPEG, BMP or TIFF image'):
        read_upload(encode(pixels, image_format))


@pytest.mark.reliability('security', 'web page: small files of billions of pixels')
def test_too_many_pixels_are_refused_before_they_are_decoded():
    # Without pixels, an image that is decoded is reported as damaged.
    no_pixels = png_chunk(b'IDAT', b'')
    with pytest.raises(UploadError, match='damaged'):
        read_upload(png_header(50, 50) + no_pixels)
    with pytest.raises(UploadError, match=r'5000 x 5000 pixels; the limit is 10 mega'):
        read_upload(png_header(5000, 5000) + no_pixels)
    # Pillow itself refuses so many pixels.
    with pytest.raises(UploadError, match='too large'):
        read_upload(png_header(2**30, 2**30) + no_pixels)


@pytest.mark.reliability('security', 'web page: images whose text unpacks to a bomb')
def test_a_decompression_bomb_in_the_text_of_a_png_is_refused(encode, pixels):
    whole = encode(pixels, 'PNG')
    text = b'Comment\0\0' + zlib.compress(bytes(200_000_000))
    start = len(png_header(64, 48))
    bomb = whole[:start] + png_chunk(b'zTXt', text) + whole[start:]
    assert len(bomb) < 300_000
    with pytest.raises(UploadError, match='damaged'):
        read_upload(bomb)


@pytest.mark.parametrize('size', [(15, 64), (64, 15), (8193, 16)])
def test_images_with_sides_outside_the_limits_are_refused(encode, size):
    image = np.zeros((*size, 3), np.uint8)
    assert image.size < MAX_PIXELS
    with pytest.raises(UploadError, match='each side must have 16 to 8192'):
        read_upload(encode(image, 'PNG'))


@pytest.mark.parametrize(
    ('dtype', 'image_format'), [('uint16', 'PNG'), ('uint16', 'TIFF'), ('f4', 'TIFF')]
)
def test_greyscale_images_of_more_than_8_bits_are_refused(encode, dtype, image_format):
    with pytest.raises(UploadError, match='more than 8 bits'):
        read_upload(encode(np.ones((20, 20), dtype), image_format))


@pytest.mark.parametrize('image_format', ['PNG', 'TIFF'])
def test_images_of_several_pages_are_refused(encode, pixels, image_format):
    second = Image.fromarray(255 - pixels)
    content = encode(pixels, image_format, save_all=True, append_images=[second])
    with pytest.raises(UploadError, match='several pages'):
        read_upload(content)


@pytest.mark.reliability('security', 'web page: 600 damaged images')
@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize('image_format', ['PNG', 'JPEG', 'BMP', 'TIFF'])
def test_damaged_files_are_read_or_refused_without_another_error(
    encode, pixels, image_format
):
    whole = encode(pixels, image_format)
    with pytest.raises(UploadError, match='damaged'):
        read_upload(whole[: len(whole) // 2])
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole[: rng.integers(8, len(whole) + 1)])
        for place in rng.integers(0, min(len(damaged), 400), 6):
            damaged[place] = rng.integers(0, 256)
        try:
            image = read_upload(bytes(damaged))
        except UploadError:
            continue
        assert image.ndim == 3
        assert image.shape[2] == 3


@pytest.mark.parametrize('ending', ['.png', '.tif'])
@pytest.mark.parametrize('channels', [3, 4])
def test_colour_images_of_more_than_8_bits_are_refused(ending, channels):
    deep = np.full((20, 30, channels), 40_000, np.uint16)
    content = cv2.imencode(ending, deep)[1].tobytes()
    with pytest.raises(UploadError, match='more than 8 bits'):
        read_upload(content)


def test_images_in_lab_colours_are_refused(encode):
    with pytest.raises(UploadError, match='LAB colours'):
        read_upload(encode(Image.new('LAB', (30, 20)), 'TIFF'))
