import os

import pytest
from PIL import Image, ImageFile

from mcdrl_common import image_files
from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import NotAnImage, opened


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
