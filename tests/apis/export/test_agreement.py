import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mcdrl_mmseg.apis.export.agreement import (
    fit_image,
    largest_difference,
    prepares_otherwise,
    trial_images,
)
from mcdrl_mmseg.apis.export.runtime import ExportedModel
from mcdrl_mmseg.apis.image_pipeline import ImageError


def test_fitted_image_is_red_first_and_of_the_requested_size():
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0] = 200  # blue
    fitted = fit_image(image, (8, 10))
    assert fitted.shape == (1, 3, 8, 10) and fitted.dtype == np.uint8
    assert fitted[0, 2].min() == 200 and fitted[0, :2].max() == 0


_RESIZE = dict(type='Resize', scale=(128, 128))


@pytest.mark.parametrize(
    ('steps', 'padding', 'expected'),
    [
        ([_RESIZE], None, False),
        ([_RESIZE], dict(size_divisor=100), True),
        ([_RESIZE, dict(type='CLAHE')], None, True),
        ([_RESIZE, dict(type='Pad', size=(140, 128))], None, True),
        ([dict(_RESIZE, keep_ratio=True)], None, True),
    ],
)
def test_a_pipeline_that_prepares_images_unlike_an_exported_file_is_recognised(
    resnet, steps, padding, expected
):
    model = copy.deepcopy(resnet)
    load, pack = dict(type='LoadImageFromFile'), dict(type='PackSegInputs')
    model.cfg.test_pipeline = [load, *steps, pack]
    model.data_preprocessor.test_cfg = padding
    assert prepares_otherwise(model, (128, 128)) is expected


def test_a_config_without_a_pipeline_counts_as_preparing_images_alike(resnet):
    model = copy.deepcopy(resnet)
    model.cfg = Config(dict(model=resnet.cfg.model))
    assert prepares_otherwise(model, (128, 128)) is False


def test_trial_images_are_all_images_in_all_sizes(tmp_path):
    paths = [str(tmp_path / f'{n}.png') for n in range(3)]
    for path in paths:
        cv2.imwrite(path, np.zeros((5, 5, 3), np.uint8))
    found = trial_images(paths, [(8, 8), (16, 8)])
    assert [image.shape[2:] for image in found] == [(8, 8)] * 3 + [(16, 8)] * 3


def test_without_images_the_trial_image_is_noise_with_contrast():
    (found,) = trial_images([], [(32, 32)])
    assert found.std() > 20


def test_unreadable_image_is_named_in_the_error(tmp_path):
    with pytest.raises(ImageError, match=r'gone\.png'):
        trial_images([str(tmp_path / 'gone.png')], [(8, 8)])


@pytest.mark.parametrize(
    ('offsets', 'expected'), [([0.0, -0.5], 0.5), ([0.25, 0.0], 0.25)]
)
def test_largest_difference_is_over_all_images_and_in_both_directions(
    offsets, expected
):
    given = iter(offsets)
    exported = ExportedModel(
        Path('x'), {}, lambda x: x.astype(np.float32) + next(given)
    )
    images = [np.full((1, 3, 2, 2), n, np.uint8) for n in (1, 2)]
    gap = largest_difference(lambda x: x.float(), exported, images)
    assert gap == expected


def test_largest_difference_is_nan_if_an_output_is_nan():
    exported = ExportedModel(Path('x'), {}, lambda x: np.full(x.shape, np.nan))
    images = [np.zeros((1, 3, 2, 2), np.uint8)]
    assert np.isnan(largest_difference(torch.Tensor.float, exported, images))
