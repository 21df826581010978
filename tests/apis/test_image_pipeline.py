import base64
import os

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from torch.testing import assert_close

from mcdrl_common.image_files import set_pixel_limit
from mcdrl_common.mask_files import read_mask_pixels
from mcdrl_mmseg.apis import ImageError
from mcdrl_mmseg.apis.image_pipeline import (
    ScoresError,
    as_image,
    build_image_pipeline,
    check_scores,
    lesion_probability,
    pipeline_size,
    read_image,
)


@pytest.mark.parametrize(
    ('stored', 'read'),
    [
        (np.full((2, 3, 3), (1, 2, 3), np.uint8), (1, 2, 3)),
        (np.full((2, 3), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3, 4), (1, 2, 3, 99), np.uint8), (1, 2, 3)),
        (np.full((2, 3), 201 * 256, np.uint16), (201, 201, 201)),
    ],
)
def test_every_png_is_read_as_eight_bits_blue_first(tmp_path, stored, read):
    path = tmp_path / 'ä.png'
    path.write_bytes(cv2.imencode('.png', stored)[1].tobytes())
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image.shape == (2, 3, 3)
    assert (image == read).all()


@pytest.mark.parametrize('content', [b'', b'no picture', b'\x89PNG\r\n\x1a\n cut off'])
def test_a_file_that_is_not_an_image_is_named_in_the_error(tmp_path, content):
    path = tmp_path / 'odd.png'
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r'odd\.png: not an image'):
        read_image(path)


@pytest.mark.reliability('silent', 'twelve bits in sixteen')
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('ending', ['.png', '.tif'])
def test_twelve_bits_stored_in_sixteen_are_refused_and_not_read_as_black(
    tmp_path, channels, ending
):
    path = tmp_path / f'scan{ending}'
    cv2.imwrite(str(path), np.full((4, 5, channels), 4095, np.uint16))
    with pytest.raises(ImageError, match=r'scan\..*4095, uses only 12'):
        read_image(path)
    cv2.imwrite(str(path), np.zeros((4, 5, channels), np.uint16))
    assert (read_image(path) == 0).all()


# 8 x 8 pixels of 4095, 12 bits; Pillow reads 65520, the values times 16.
JPEG_2000_OF_12_BITS = (
    'AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAgAAQ'
    'sHAAAAAAAPY29scgEAAAAAABEAAACIanAyY/9P/1EAKQAAAAAACAAAAAgAAAAAAAAAAAAAAAgAAAAI'
    'AAAAAAAAAAAAAQsBAf9SAAwAAAABAAAEBAAB/1wABEBg/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRy'
    'B2ZXJzaW9uIDIuNS40/5AACgAAAAAAFgAB/5PP5BQUAFyvh//Z'
)


def test_jpeg_2000_of_12_bits_keeps_its_values_and_is_refused_as_an_image(tmp_path):
    path = tmp_path / 'scan.jp2'
    path.write_bytes(base64.b64decode(JPEG_2000_OF_12_BITS))
    with pytest.raises(ImageError, match=r'scan\.jp2.*4095, uses only 12'):
        read_image(path)
    assert (read_mask_pixels(path) == 4095).all()


@pytest.mark.reliability('silent', 'an image of several pages or frames')
def test_an_image_file_with_several_pages_or_frames_is_refused(tmp_path):
    pages = [Image.new('RGB', (8, 8), color) for color in ('red', 'blue', 'green')]
    for ending in ('tif', 'png', 'webp', 'gif'):
        path = tmp_path / f'pages.{ending}'
        pages[0].save(path, save_all=True, append_images=pages[1:])
        with pytest.raises(ImageError, match=r'pages\..*: 3 pages in one file'):
            read_image(path)


@pytest.mark.reliability('silent', 'an image in LAB colours')
def test_an_image_in_lab_colours_is_refused(tmp_path):
    Image.new('LAB', (8, 8)).save(tmp_path / 'lab.tif')
    with pytest.raises(ImageError, match=r'lab\.tif: LAB colours'):
        read_image(tmp_path / 'lab.tif')


@pytest.mark.parametrize('ending', ['jpg', 'png'])
def test_truncated_image_files_are_refused(tmp_path, ending, picture):
    path = tmp_path / f'cut.{ending}'
    code = cv2.imencode(f'.{ending}', picture)[1].tobytes()
    path.write_bytes(code[: len(code) * 2 // 3])
    with pytest.raises(ImageError, match=r'cut\.'):
        read_image(path)


def test_images_with_more_pixels_than_the_limit_are_refused(tmp_path, monkeypatch):
    # Pillow's limit, put back after the test.
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', Image.MAX_IMAGE_PIXELS)
    Image.new('1', (20_000, 20_000)).save(tmp_path / 'large.png')
    with pytest.raises(ImageError, match=r'large\.png: too many pixels'):
        read_image(tmp_path / 'large.png')
    Image.new('L', (30, 20)).save(tmp_path / 'small.png')
    set_pixel_limit(599)
    with pytest.raises(ImageError, match=r'small\.png: too many pixels: 30 x 20'):
        read_image(tmp_path / 'small.png')
    set_pixel_limit(600)
    assert read_image(tmp_path / 'small.png').shape == (20, 30, 3)


def test_the_pixel_limit_applies_to_a_tiff_that_only_opencv_decodes(
    tmp_path, monkeypatch
):
    path = tmp_path / 'deep.tif'
    cv2.imwrite(str(path), np.full((20, 30, 3), 2**15, np.uint16))
    assert read_image(path).shape == (20, 30, 3)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 599)
    with pytest.raises(ImageError, match=r'deep\.tif: too many pixels: 30 x 20'):
        read_image(path)


def test_a_pipe_is_refused_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / 'pipe.png')
    with pytest.raises(ImageError, match=r'pipe\.png: not a regular file'):
        read_image(tmp_path / 'pipe.png')


def test_missing_files_and_folders_in_place_of_files_are_refused(tmp_path):
    with pytest.raises(ImageError, match=r'gone\.png: No such file'):
        read_image(tmp_path / 'gone.png')
    with pytest.raises(ImageError, match='Is a directory'):
        read_image(tmp_path)


@pytest.mark.parametrize(
    'image', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), 'B')]
)
def test_arrays_of_another_shape_or_type_are_refused(image):
    with pytest.raises(ImageError, match=r'must be \(H, W, 3\) uint8'):
        as_image(image)


def test_error_names_the_type_of_an_input_that_is_neither_path_nor_array():
    with pytest.raises(ImageError, match=r'path or an array.*uint8.*got Image\.'):
        as_image(Image.new('RGB', (4, 4)))


def test_the_pipeline_needs_no_ground_truth_and_leaves_the_config_alone(
    tiny_config, picture
):
    cfg = Config.fromfile(tiny_config)
    before = cfg.to_dict()
    packed = build_image_pipeline(cfg)(dict(img=picture))
    assert packed['inputs'].shape == (3, 128, 128)
    assert packed['data_samples'].ori_shape == (90, 120)
    assert cfg.to_dict() == before


def test_the_pipeline_of_the_test_dataloader_is_used_without_a_test_pipeline(picture):
    steps = [
        dict(type='SetSite', site='a'),
        dict(type='mmseg.LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='PackSegInputs'),
    ]
    cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=steps))))
    packed = build_image_pipeline(cfg)(dict(img=picture))
    assert_close(packed['inputs'].numpy(), picture.transpose(2, 0, 1))


def test_a_pipeline_with_a_loader_of_mmsegs_inference_works(picture):
    for loader in ('LoadImageFromNDArray', 'InferencerLoader'):
        steps = [dict(type=loader), dict(type='PackSegInputs')]
        packed = build_image_pipeline(Config(dict(test_pipeline=steps)))(
            dict(img=picture)
        )
        assert packed['inputs'].shape == (3, 90, 120)


def test_a_config_without_an_image_loader_is_refused():
    with pytest.raises(ValueError, match='LoadImageFromFile'):
        build_image_pipeline(Config(dict(test_pipeline=[dict(type='PackSegInputs')])))


def test_lesion_probability_is_that_of_all_classes_but_the_background():
    # Shares 1 : 2 : 1 and 6 : 1 : 1.
    logits = torch.tensor([[[1.0, 6.0]], [[2.0, 1.0]], [[1.0, 1.0]]]).log()
    assert_close(lesion_probability(logits), torch.tensor([[0.75, 0.25]]))


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('place', [0, 7, -1])
def test_a_score_that_is_nan_or_infinite_is_refused(value, place):
    scores = torch.randn(2, 30, 40)
    scores.view(-1)[place] = value
    with pytest.raises(ScoresError, match='NaN or infinite'):
        check_scores(scores)


def test_infinite_scores_of_opposite_signs_are_refused():
    scores = torch.zeros(2, 3, 4)
    scores[0, 0, 0], scores[1, 0, 0] = float('inf'), -float('inf')
    with pytest.raises(ScoresError, match='NaN or infinite'):
        check_scores(scores)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_finite_scores_pass_whatever_their_sum(dtype):
    largest = torch.finfo(dtype).max
    check_scores(torch.full((2, 3, 4), largest, dtype=dtype))
    check_scores(torch.full((2, 3, 4), -largest, dtype=dtype))
    check_scores(torch.zeros(2, 3, 4, dtype=dtype))


def test_small_probabilities_keep_their_precision():
    logits = torch.tensor([[[0.0]], [[-40.0]]])
    expected = torch.tensor([[-40.0]]).exp()
    assert_close(lesion_probability(logits), expected, rtol=1e-5, atol=0)


def test_a_single_channel_is_taken_as_the_probability_itself():
    scores = torch.tensor([[[0.2, 0.9]]])
    assert_close(lesion_probability(scores), scores[0])


@pytest.mark.reliability('security', 'an image file of gigabytes')
@pytest.mark.parametrize('ending', ['.png', '.tif'])
def test_a_file_that_is_too_large_for_its_header_is_refused_without_reading_it(
    tmp_path, monkeypatch, ending
):
    path = tmp_path / f'a{ending}'
    # Colour TIFF of 16 bits is one that Pillow does not know.
    cv2.imwrite(str(path), np.full((4, 5, 3), 2**15, np.uint16))
    assert read_image(path).shape == (4, 5, 3)
    os.truncate(path, 2**30)
    read = []
    monkeypatch.setattr(np, 'fromfile', lambda *args: read.append(args))
    monkeypatch.setattr(cv2, 'imcount', lambda *args: read.append(args))
    with pytest.raises(ImageError, match=rf'a\{ending}: 1073741824 bytes.* 5 x 4 '):
        read_image(path)
    assert not read


LOAD = dict(type='LoadImageFromFile')


def resize(**options) -> dict:
    return dict(test_pipeline=[LOAD, dict(type='mmseg.Resize', **options)])


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        # MMCV's scale is (width, height).
        (resize(scale=(160, 96)), (96, 160)),
        (resize(scale=(160, 96), keep_ratio=False), (96, 160)),
        (resize(scale=128), (128, 128)),
        (resize(scale=(160, 96), keep_ratio=True), None),
        (resize(scale_factor=0.5), None),
        (dict(test_pipeline=[LOAD]), None),
        (
            dict(test_dataloader=dict(dataset=dict(resize(scale=(8, 4))))),
            None,
        ),
        (
            dict(
                test_dataloader=dict(
                    dataset=dict(pipeline=[dict(type='Resize', scale=(8, 4))])
                )
            ),
            (4, 8),
        ),
        ({}, None),
    ],
)
def test_pipeline_size_is_given_only_if_every_image_gets_that_size(cfg, expected):
    assert pipeline_size(Config(cfg)) == expected
