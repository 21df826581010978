import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mcdrl_mmseg.models.lesion_targets import labelled_images, lesion_targets


def sample(labels, **metainfo) -> SegDataSample:
    result = SegDataSample(metainfo={'img_path': 'a/b.jpg', **metainfo})
    result.gt_sem_seg = PixelData(data=torch.tensor(labels)[None])
    return result


LESION = [[0, 1], [0, 255]]
NONE = [[0, 0], [0, 255]]


def test_classes_with_a_label_of_their_own_are_read_from_the_labels():
    samples = [
        sample([[0, 2], [2, 255]]),
        sample([[0, 0], [0, 0]]),
        sample([[3, 1], [0, 0]]),
    ]
    targets = lesion_targets(samples, ['polyp', 'cyst', 'nodule'], num_classes=4)
    assert targets.dtype == torch.bool
    assert targets.int().tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 1]]


def test_a_single_class_needs_no_class_names():
    samples = [sample(LESION), sample(NONE)]
    assert lesion_targets(samples, ['polyp'], num_classes=2).tolist() == [
        [True],
        [False],
    ]


def test_binary_labels_of_several_classes_use_the_class_names():
    samples = [
        sample(LESION, lesion_classes=('cyst',)),
        sample(LESION, lesion_classes=('cyst', 'polyp')),
        sample(NONE, lesion_classes=()),
    ]
    targets = lesion_targets(samples, ['polyp', 'cyst'], num_classes=2)
    assert targets.int().tolist() == [[0, 1], [1, 1], [0, 0]]


@pytest.mark.parametrize('ignored', [255, 7])
def test_image_whose_pixels_are_all_ignored_has_no_label(ignored):
    samples = [
        sample([[0, 1], [0, ignored]]),
        sample([[ignored, ignored], [ignored, ignored]]),
        sample([[0, ignored], [ignored, ignored]]),
    ]
    assert labelled_images(samples, ignored).tolist() == [True, False, True]


def test_lesion_that_was_cropped_away_does_not_count():
    targets = lesion_targets(
        [sample(NONE, lesion_classes=('cyst',))], ['polyp', 'cyst'], num_classes=2
    )
    assert targets.int().tolist() == [[0, 0]]


def test_ignored_pixels_do_not_count_as_a_lesion():
    targets = lesion_targets(
        [sample([[255, 255]], lesion_classes=('cyst',))], ['polyp', 'cyst'], 2
    )
    assert not targets.any()


def test_missing_class_names_are_an_error_that_says_where_to_add_them():
    with pytest.raises(ValueError, match=r"a/b\.jpg.*'lesion_classes'.*meta_keys"):
        lesion_targets([sample(LESION)], ['polyp', 'cyst'], num_classes=2)


def test_a_class_name_without_a_prompt_is_an_error_that_names_image_and_class():
    with pytest.raises(ValueError, match=r"a/b\.jpg.*\['tumour'\].*'polyp', 'cyst'"):
        lesion_targets(
            [sample(LESION, lesion_classes=('tumour',))], ['polyp', 'cyst'], 2
        )


def test_classes_that_cannot_be_matched_are_an_error():
    with pytest.raises(ValueError, match=r'4 segmentation classes .* 2 lesion classes'):
        lesion_targets([sample(LESION)], ['polyp', 'cyst'], num_classes=4)
