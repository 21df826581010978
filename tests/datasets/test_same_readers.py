"""Training reads files as prediction, explanation, export and verification do."""

import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from mcdrl_common.findings import FileProblem
from mcdrl_common.mask_files import read_truth_mask
from mcdrl_common.mask_format import MaskError, MaskFormat
from mcdrl_lab.data.converters.image_reading import read_image as read_converted
from mcdrl_lab.serving.uploads import UploadError, read_upload
from mcdrl_mmseg.apis.image_pipeline import ImageError, read_image
from mcdrl_mmseg.datasets import LoadLesionMask

BINARY = MaskFormat({255: 'polyp'}, {0: 0, 255: 1}, binary=True)


@pytest.fixture
def draw(tmp_path):
    """Makes an image file of noise, or a mask file, of the named kind."""

    def make(how: str, is_mask: bool):
        values = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
        if is_mask:
            values = np.zeros((48, 64), np.uint8)
            values[8:30, 8:40] = 255
        image = Image.fromarray(values)
        path = tmp_path / f'{how}.png'
        if how == 'pages':
            path = tmp_path / 'pages.tif'
            image.save(path, save_all=True, append_images=[image])
        elif how == 'animated':
            image.convert('RGB').save(
                path, save_all=True, append_images=[Image.new('RGB', image.size)]
            )
        elif how == 'lab':
            path = tmp_path / 'lab.tif'
            Image.merge('LAB', [image] * 3).save(path)
        elif how == 'transparent':
            path = tmp_path / 'transparent.tif'
            Image.merge('RGBA', [image] * 4).save(path)
        elif how == 'opaque':
            path = tmp_path / 'opaque.tif'
            image.convert('RGBA').save(path)
        elif how == 'deep':
            Image.fromarray(values.astype(np.uint16) * 16).save(path)
        elif how == 'cut':
            image.convert('RGB').save(path)
            path.write_bytes(path.read_bytes()[:-40])
        elif how == 'empty':
            path.touch()
        else:
            image.convert(how).save(path)
        return path

    return make


REFUSED = ['pages', 'animated', 'lab', 'transparent', 'deep', 'cut', 'empty']


@pytest.mark.reliability('bad input', 'a mask that only some readers refused')
@pytest.mark.parametrize('how', REFUSED)
def test_masks_that_other_readers_refuse_are_refused_in_training(draw, how):
    path = draw(how, is_mask=True)
    with pytest.raises(MaskError, match=path.name):
        read_truth_mask(path)
    with pytest.raises(MaskError, match=path.name):
        LoadLesionMask()({'seg_map_path': str(path), 'mask_format': BINARY})


@pytest.mark.parametrize('mode', ['L', 'RGB'])
def test_training_and_other_readers_read_a_mask_alike(draw, mode):
    path = draw(mode, is_mask=True)
    results = LoadLesionMask()({'seg_map_path': str(path), 'mask_format': BINARY})
    lesion = read_truth_mask(path).lesion
    assert lesion.sum() == 22 * 32
    np.testing.assert_array_equal(results['gt_seg_map'] == 1, lesion)


@pytest.mark.parametrize('how', REFUSED)
def test_images_that_prediction_refuses_never_pass_verification_or_conversion(
    draw, how
):
    """MMCV's loader would read some of them; DatasetCheckHook refuses them before."""
    path = draw(how, is_mask=False)
    with pytest.raises(ImageError, match=path.name):
        read_image(path)
    with pytest.raises(FileProblem):
        read_converted(path)


@pytest.mark.parametrize('mode', ['L', 'P', 'RGB', 'RGBA', 'opaque'])
def test_an_image_has_the_same_pixels_for_training_prediction_and_conversion(
    draw, mode
):
    path = draw(mode, is_mask=False)
    trained = LoadImageFromFile()({'img_path': str(path)})['img']
    np.testing.assert_array_equal(trained, read_image(path))
    converted = np.asarray(read_converted(path).pixels)
    np.testing.assert_array_equal(trained[..., ::-1], converted)
    np.testing.assert_array_equal(read_upload(path.read_bytes()), converted)


@pytest.mark.parametrize('opacity', [1, 2], ids=['multiplied', 'not multiplied'])
def test_transparent_tiff_images_are_refused_by_every_reader(tmp_path, opacity):
    path = tmp_path / 'a.tif'
    values = np.random.default_rng(0).integers(0, 256, (48, 64, 4), np.uint8)
    Image.fromarray(values).save(path, tiffinfo={338: (opacity,)})
    trained = LoadImageFromFile()({'img_path': str(path)})['img'][..., ::-1]
    with Image.open(path) as image:
        assert (trained != np.asarray(image.convert('RGB'))).any()
    with pytest.raises(ImageError, match='transparent'):
        read_image(path)
    with pytest.raises(FileProblem, match='transparent'):
        read_converted(path)
    with pytest.raises(UploadError, match='transparent'):
        read_upload(path.read_bytes())
