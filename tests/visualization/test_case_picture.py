import numpy as np
from matplotlib.figure import Figure

from mcdrl_mmseg.visualization.case_picture import case_legend, case_picture, draw_case


def image_of(height=60, width=80):
    return np.full((height, width, 3), 100, np.uint8)


def mask_of(rows, columns, height=60, width=80, label=1):
    mask = np.zeros((height, width), np.uint8)
    mask[rows, columns] = label
    return mask


def test_picture_has_the_requested_width_and_the_aspect_ratio_of_the_image():
    picture = case_picture(image_of(), mask_of(slice(0), slice(0)), None, width=160)
    assert picture.shape == (120, 160, 3)
    np.testing.assert_allclose(picture, 100, atol=1)


def test_prediction_is_filled_at_its_position():
    prediction = mask_of(slice(20, 40), slice(30, 60))
    picture = case_picture(image_of(), prediction, None, width=80)
    # Blue over grey inside; the image as it was outside.
    assert picture[30, 45, 2] > picture[30, 45, 0]
    np.testing.assert_allclose(picture[5, 5], 100, atol=1)


def test_truth_is_drawn_as_an_outline_without_filling():
    truth = mask_of(slice(20, 40), slice(30, 60))
    nothing = np.zeros_like(truth)
    picture = case_picture(image_of(), nothing, truth, width=320)
    np.testing.assert_allclose(picture[120, 180], 100, atol=1)
    border = picture[120, 110:130]
    assert border.min() < 60, 'the black line under the white dashes'


def test_ignored_pixels_are_not_drawn_as_truth():
    truth = mask_of(slice(20, 40), slice(30, 60), label=255)
    axes = Figure().add_subplot()
    draw_case(axes, image_of(), np.zeros_like(truth), truth)
    assert not axes.collections


def test_images_with_no_lesion_and_with_lesion_everywhere_are_drawn():
    for truth in (np.zeros((60, 80), np.uint8), np.ones((60, 80), np.uint8)):
        picture = case_picture(image_of(), truth, truth, width=80)
        assert picture.shape == (60, 80, 3)


def test_legend_names_prediction_and_truth():
    assert [mark.get_label() for mark in case_legend()] == ['prediction', 'truth']
