import json
from dataclasses import replace

import pytest
import torch

from mcdrl_mmseg.evaluation.image_record import image_name, image_record
from mcdrl_mmseg.evaluation.sample_reader import EvaluatedImage

CONTRACT = [
    *('image', 'site', 'sequence', 'lesion_classes', 'has_lesion'),
    *('dice', 'iou', 'accuracy', 'precision', 'recall', 'hd95', 'nsd'),
    *('dice_mean256', 'iou_mean256', 'false_positive', 'false_area'),
    *('tp', 'fp', 'fn', 'tn', 'pixels', 'lesions'),
    *('self_dice', 'mean_confidence'),
]
NEED_A_LESION = [
    *('dice', 'iou', 'precision', 'recall', 'hd95', 'nsd'),
    *('dice_mean256', 'iou_mean256'),
]


def evaluated(labels, target, num_classes=2, **fields):
    labels, target = torch.tensor(labels), torch.tensor(target)
    image = EvaluatedImage(
        labels=labels,
        target=target,
        probability=(labels != 0).float(),
        num_classes=num_classes,
        img_path='/data/c1/images/a.jpg',
        seg_map_path='/data/c1/masks/a.png',
        site='c1',
        sequence=None,
        lesion_classes=('polyp',),
        notes=(),
    )
    return replace(image, **fields)


def test_scores_of_an_image_with_lesion_agree_with_a_hand_worked_case():
    record = image_record(
        evaluated([[1, 1, 0, 0]], [[0, 1, 1, 0]]), surface_tolerance=1.0
    )
    assert list(record) == CONTRACT
    assert record['image'] == 'images/a.jpg'
    assert record['lesion_classes'] == ['polyp']
    assert record['has_lesion'] is True
    assert (record['tp'], record['fp'], record['fn'], record['tn']) == (1, 1, 1, 1)
    assert record['pixels'] == 4
    assert record['dice'] == 0.5
    assert record['iou'] == pytest.approx(1 / 3)
    assert record['accuracy'] == 0.5
    assert record['precision'] == record['recall'] == 0.5
    # Outlines at columns 0, 1 and 1, 2: directed distances (1, 0) both ways.
    assert record['hd95'] == pytest.approx(0.95)
    assert record['nsd'] == 1.0
    assert record['dice_mean256'] == pytest.approx((4 / 6 + 255 * 0.5) / 256)
    assert record['false_positive'] is None
    assert record['false_area'] is None


def test_empty_mask_and_prediction_have_no_lesion_score_and_no_false_positive():
    record = image_record(
        evaluated([[0, 0]], [[0, 0]], lesion_classes=()), surface_tolerance=1.0
    )
    assert record['has_lesion'] is False
    assert all(record[name] is None for name in NEED_A_LESION)
    assert record['accuracy'] == 1.0
    assert record['false_positive'] is False
    assert record['false_area'] == 0.0


def test_prediction_on_an_empty_mask_is_a_false_positive_with_its_area():
    record = image_record(
        evaluated([[1, 0, 0, 0]], [[0, 0, 0, 0]]), surface_tolerance=1.0
    )
    assert all(record[name] is None for name in NEED_A_LESION)
    assert record['accuracy'] == 0.75
    assert record['false_positive'] is True
    assert record['false_area'] == 0.25
    assert record['lesion_classes'] == []


def test_missed_lesion_scores_zero_and_its_hd95_is_the_image_diagonal():
    record = image_record(
        evaluated([[0] * 4] * 3, [[0] * 4, [0, 1, 0, 0], [0] * 4], lesion_classes=None),
        surface_tolerance=1.0,
    )
    assert record['dice'] == record['iou'] == record['nsd'] == 0.0
    assert record['precision'] == record['recall'] == 0.0
    assert record['hd95'] == 5.0
    assert record['lesion_classes'] == ['lesion']
    # Only threshold 0 marks any pixels: all twelve.
    assert record['dice_mean256'] == pytest.approx((2 / 13) / 256)


def test_image_without_labelled_pixels_has_undefined_accuracy_and_false_positive():
    record = image_record(evaluated([[1, 0]], [[255, 255]]), surface_tolerance=1.0)
    assert record['has_lesion'] is False
    assert record['pixels'] == 0
    assert record['accuracy'] is None
    assert record['false_positive'] is None
    assert record['false_area'] is None


def test_self_dice_and_mean_confidence_use_valid_pixels_and_can_be_left_out():
    p = torch.tensor([[0.8, 0.4, 0.0, 0.9]])
    for target in ([[1, 1, 0, 255]], [[0, 0, 0, 255]]):
        record = image_record(evaluated([[1, 0, 0, 1]], target, probability=p))
        # 2 * 0.8 / (1.2 + 1), and (0.8 + 0.6 + 1) / 3.
        assert record['self_dice'] == pytest.approx(1.6 / 2.2)
        assert record['mean_confidence'] == pytest.approx(2.4 / 3)
    unasked = image_record(
        evaluated([[1, 0, 0, 1]], target, probability=p), confidence=False
    )
    assert unasked['self_dice'] is unasked['mean_confidence'] is None


def test_ignored_pixels_change_no_score():
    plain = image_record(
        evaluated([[1, 1, 0, 0]], [[0, 1, 1, 0]]), surface_tolerance=1.0
    )
    ignored = image_record(
        evaluated([[1, 1, 0, 0, 1, 1]], [[0, 1, 1, 0, 255, 255]]),
        surface_tolerance=1.0,
    )
    assert ignored == plain


def test_mask_and_not_metainfo_decides_whether_an_image_has_a_lesion():
    without = image_record(evaluated([[0, 0]], [[0, 0]], lesion_classes=('polyp',)))
    assert without['has_lesion'] is False
    with_lesion = image_record(evaluated([[0, 0]], [[0, 1]], lesion_classes=()))
    assert with_lesion['has_lesion'] is True


def test_scores_that_were_not_requested_are_none():
    record = image_record(evaluated([[1, 0]], [[1, 0]], probability=None))
    assert record['hd95'] is record['nsd'] is None
    assert record['dice_mean256'] is record['iou_mean256'] is None


def test_each_class_but_the_background_has_its_own_counts():
    record = image_record(
        evaluated([[0, 1, 2, 2]], [[0, 1, 1, 2]], num_classes=4),
        ('background', 'polyp', 'cyst'),
    )
    assert record['dice'] == 1.0
    assert list(record['classes']) == ['polyp', 'cyst', 'class_3']
    polyp = record['classes']['polyp']
    assert (polyp['tp'], polyp['fp'], polyp['fn'], polyp['tn']) == (1, 0, 1, 2)
    assert polyp['dice'] == pytest.approx(2 / 3)
    assert record['classes']['class_3']['dice'] is None


def test_record_is_plain_json():
    for target in ([[0, 1]], [[0, 0]], [[255, 255]]):
        record = image_record(
            evaluated([[1, 0]], target, num_classes=3), surface_tolerance='1%'
        )
        assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_errors_name_the_image():
    with pytest.raises(ValueError, match=r'/data/c1/images/a\.jpg: ground truth'):
        image_record(evaluated([[0]], [[7]]))


@pytest.mark.parametrize(
    'path, site, name',
    [
        ('/data/c1/images/a b.jpg', 'c1', 'images/a b.jpg'),
        ('/c1/data/c1/images/a.jpg', 'c1', 'images/a.jpg'),
        ('/data/test/a.png', 'all', 'a.png'),
        ('/data/c10/images/c1', 'c1', 'c1'),
        (None, 'c1', ''),
    ],
)
def test_image_name_does_not_depend_on_the_location_of_the_data(path, site, name):
    assert image_name(path, site) == name
