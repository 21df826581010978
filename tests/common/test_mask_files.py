import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mcdrl_common.mask_files import read_truth_mask
from mcdrl_common.mask_format import MaskError


def write(path, values):
    cv2.imwrite(str(path), np.array([values], np.uint8))
    return path


@pytest.mark.reliability('silent', 'the truth, read by other tools than the training')
@pytest.mark.parametrize(
    ('values', 'num_classes', 'lesion', 'ignored'),
    [
        ([0, 127, 128, 255], 2, [2, 3], []),
        ([0, 1, 1, 255], 2, [1, 2], [3]),
        ([0, 1, 0, 0], 2, [1], []),
        ([0, 1, 2, 255], 3, [1, 2], [3]),
        ([0, 0, 0, 255], 3, [3], []),
        ([0, 0, 0, 0], 2, [], []),
    ],
)
def test_the_truth_is_read_as_a_label_map_or_thresholded_at_half(
    tmp_path, values, num_classes, lesion, ignored
):
    truth = read_truth_mask(write(tmp_path / 'a.png', values), num_classes)
    assert np.flatnonzero(truth.lesion).tolist() == lesion
    assert np.flatnonzero(truth.ignored).tolist() == ignored


def test_masks_that_training_refuses_are_refused_here_too(tmp_path):
    with pytest.raises(MaskError, match=r'a\.png: highest value is 7'):
        read_truth_mask(write(tmp_path / 'a.png', [0, 0, 7, 7]))
    pages = [Image.new('L', (4, 4), 255)] * 2
    pages[0].save(tmp_path / 'b.tif', save_all=True, append_images=pages[1:])
    with pytest.raises(MaskError, match=r'b\.tif: 2 pages'):
        read_truth_mask(tmp_path / 'b.tif')
    deep = np.full((4, 4), 65535, np.uint16)
    cv2.imwrite(str(tmp_path / 'c.png'), deep)
    with pytest.raises(MaskError, match=r'c\.png: uint16'):
        read_truth_mask(tmp_path / 'c.png')
    with pytest.raises(MaskError, match=r'gone\.png'):
        read_truth_mask(tmp_path / 'gone.png')


def site_with_classes(folder, text):
    (folder / 'masks').mkdir(parents=True)
    (folder / 'classes.json').write_text(text)
    return folder / 'masks' / 'a.png'


def test_mask_values_recorded_by_the_site_decide_what_is_lesion(tmp_path):
    # A model of two classes, and masks with more classes, as EndoSim has them.
    noted = {'0': 'background', '3': 'cyst', '4': 'ignore', '255': 'polyp'}
    path = site_with_classes(tmp_path / 'site', json.dumps({'mask_values': noted}))
    truth = read_truth_mask(write(path, [0, 3, 4, 255]), 2)
    assert np.flatnonzero(truth.lesion).tolist() == [1, 3]
    assert np.flatnonzero(truth.ignored).tolist() == [2]
    with pytest.raises(MaskError, match=r'values \[7\] are not in mask_values'):
        read_truth_mask(write(path, [0, 3, 7, 0]), 2)


def test_a_background_under_another_name_is_refused(tmp_path):
    noted = {'0': 'normal', '1': 'polyp'}
    path = site_with_classes(tmp_path / 'site', json.dumps({'mask_values': noted}))
    with pytest.raises(
        MaskError, match=r"classes\.json: calls 0 'normal', and nothing"
    ):
        read_truth_mask(write(path, [0, 1, 0, 0]), 2)


def test_a_malformed_classes_file_is_an_error_that_names_it(tmp_path):
    path = site_with_classes(tmp_path / 'site', '["polyp"]')
    with pytest.raises(MaskError, match=r'classes\.json: expected'):
        read_truth_mask(write(path, [0, 0, 255, 255]), 2)
