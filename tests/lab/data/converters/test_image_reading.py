import cv2
import numpy as np
import pytest
from PIL import Image

from mcdrl_common.findings import FileProblem
from mcdrl_lab.data.converters.image_reading import read_image


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
def test_truncated_images_are_refused(make, name):
    source = make.image(name)
    source.write_bytes(source.read_bytes()[:-40])
    with pytest.raises(FileProblem) as error:
        read_image(source)
    assert error.value.kind == 'unreadable image'


@pytest.mark.parametrize('content', [b'', b'not an image'])
def test_files_that_are_not_images_are_refused(download, content):
    path = download / 'a.jpg'
    path.write_bytes(content)
    with pytest.raises(FileProblem, match='unreadable image'):
        read_image(path)


def test_the_file_ending_follows_the_content(make):
    source = make.image('a.png')
    assert read_image(source.rename(source.with_suffix('.jpg'))).suffix == '.png'


def test_a_16_bit_tif_is_refused_as_it_would_lose_bits(make):
    source = make.array('a.tif', np.arange(600, dtype=np.uint16).reshape(20, 30))
    with pytest.raises(FileProblem, match='8-bit'):
        read_image(source)


def test_images_with_several_pages_are_refused(make, download):
    page = Image.open(make.image('a.png'))
    page.save(download / 'pages.tif', save_all=True, append_images=[page])
    with pytest.raises(FileProblem, match='2 pages'):
        read_image(download / 'pages.tif')


def test_images_with_an_exif_orientation_are_refused(make):
    exif = Image.Exif()
    exif[0x0112] = 6
    with pytest.raises(FileProblem, match='EXIF orientation 6'):
        read_image(make.image('a.jpg', exif=exif))


def test_other_formats_are_refused(make):
    with pytest.raises(FileProblem, match='GIF'):
        read_image(make.image('a.gif'))


def test_a_16_bit_png_is_refused_as_in_verification(make, download):
    path = download / 'deep.png'
    cv2.imwrite(str(path), np.full((8, 8, 3), 60_000, np.uint16))
    with pytest.raises(FileProblem, match=r'unsupported image.*16 bits per channel'):
        read_image(path)
