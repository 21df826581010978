import random

import pytest

from mcdrl_common.site_scores import (
    aggregate,
    sites_without_lesion,
    summarise,
    worst_site,
)


def lesion(site, tp, fp, fn, tn=100, types=('polyp',), **fields):
    """A record of an image with a lesion; scores are written out by hand here."""
    return (
        dict(
            site=site,
            image=f'{tp}_{fp}_{fn}',
            lesion_classes=list(types),
            has_lesion=True,
            dice=2 * tp / (2 * tp + fp + fn),
            iou=tp / (tp + fp + fn),
            accuracy=(tp + tn) / (tp + fp + fn + tn),
            precision=tp / (tp + fp) if tp + fp else 0.0,
            recall=tp / (tp + fn),
            hd95=float(fp),
            nsd=0.5,
            dice_mean256=0.25,
            iou_mean256=0.125,
            false_positive=None,
            false_area=None,
            **dict(tp=tp, fp=fp, fn=fn, tn=tn),
            pixels=tp + fp + fn + tn,
        )
        | fields
    )


def lesion_free(site, fp, pixels=100):
    none = dict.fromkeys(
        ('dice', 'iou', 'precision', 'recall', 'hd95', 'nsd')
    ) | dict.fromkeys(('dice_mean256', 'iou_mean256'))
    return none | dict(
        site=site,
        image=f'free_{fp}',
        lesion_classes=[],
        has_lesion=False,
        accuracy=1 - fp / pixels,
        false_positive=fp > 0,
        false_area=fp / pixels,
        **dict(tp=0, fp=fp, fn=0, tn=pixels - fp),
        pixels=pixels,
    )


RECORDS = [
    lesion('a', 10, 0, 0),  # Dice 1
    lesion('a', 10, 10, 10, types=('cyst', 'polyp')),  # Dice 0.5
    lesion('b', 0, 0, 10, types=('cyst',)),  # Dice 0, nothing predicted
    lesion_free('a', 0),
    lesion_free('a', 20),
    lesion_free('c', 10),
]


def test_headline_scores_are_means_over_the_images_with_a_lesion():
    metrics = summarise(RECORDS)
    assert metrics['mDice_fg'] == pytest.approx((1 + 0.5 + 0) / 3)
    assert metrics['mIoU_fg'] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert metrics['mAcc_fg'] == pytest.approx((1 + 110 / 130 + 100 / 110) / 3)
    assert metrics['mPrecision_fg'] == pytest.approx((1 + 0.5 + 0) / 3)
    assert metrics['mRecall_fg'] == pytest.approx((1 + 0.5 + 0) / 3)
    assert metrics['mHD95'] == pytest.approx(10 / 3)
    assert metrics['mNSD'] == 0.5
    assert metrics['mDice_fg_mean256'] == 0.25
    assert metrics['mIoU_fg_mean256'] == 0.125
    assert metrics['missed_rate'] == pytest.approx(1 / 3)


def test_lesion_free_images_are_reported_separately():
    metrics = summarise(RECORDS)
    assert metrics['false_positive_rate'] == pytest.approx(2 / 3)
    assert metrics['false_area'] == pytest.approx((0 + 0.2 + 0.1) / 3)
    assert metrics['images'] == 6
    assert metrics['lesion_images'] == metrics['lesion_free_images'] == 3


def test_dice_over_all_images_counts_an_empty_prediction_without_lesion_as_right():
    metrics = aggregate(RECORDS)
    # Dice 1, 0.5 and 0; of the three without lesion the first alone stays empty.
    assert metrics['mDice_fg_all'] == pytest.approx((1 + 0.5 + 0 + 1 + 0 + 0) / 6)
    assert metrics['site/a/mDice_fg_all'] == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    assert metrics['site/b/mDice_fg_all'] == 0
    # A site without any lesion has it, unlike the headline.
    assert metrics['site/c/mDice_fg_all'] == 0
    assert metrics['site_mean/mDice_fg_all'] == pytest.approx((0.625 + 0 + 0) / 3)
    assert metrics['worst_site/mDice_fg_all'] == 0
    assert 'lesion/cyst/mDice_fg_all' not in metrics
    assert summarise([])['mDice_fg_all'] is None
    unknown = lesion('a', 1, 0, 0, dice=None)
    assert summarise([*RECORDS, unknown])['mDice_fg_all'] is None


def test_pooled_scores_come_from_the_counts_of_all_images():
    metrics = summarise(RECORDS)
    tp, fp, fn, tn = 20, 40, 20, 300 + 270
    assert metrics['pooled_Dice_fg'] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert metrics['pooled_IoU_fg'] == pytest.approx(tp / (tp + fp + fn))
    assert metrics['pooled_Acc'] == pytest.approx((tp + tn) / (tp + fp + fn + tn))
    assert metrics['pooled_Precision'] == pytest.approx(tp / (tp + fp))
    assert metrics['pooled_Recall'] == pytest.approx(tp / (tp + fn))


def test_every_site_has_its_own_metrics():
    metrics = aggregate(RECORDS)
    assert metrics['site/a/mDice_fg'] == pytest.approx(0.75)
    assert metrics['site/b/mDice_fg'] == 0
    assert metrics['site/a/false_positive_rate'] == 0.5
    assert metrics['site/b/false_positive_rate'] is None


def test_a_site_without_lesion_has_no_dice_and_is_left_out_of_its_mean():
    metrics = aggregate(RECORDS)
    assert metrics['site/c/mDice_fg'] is None
    assert metrics['site/c/pooled_Dice_fg'] is None
    assert metrics['site/c/false_positive_rate'] == 1
    assert sites_without_lesion(RECORDS) == ['c']
    assert metrics['site_mean/mDice_fg'] == pytest.approx((0.75 + 0) / 2)
    assert metrics['site_mean/sites'] == 2
    assert metrics['site_mean/false_positive_rate'] == pytest.approx((0.5 + 1) / 2)


def test_the_worst_site_has_the_lowest_dice_of_the_sites_with_lesions():
    assert worst_site(RECORDS) == 'b'
    assert aggregate(RECORDS)['worst_site/mDice_fg'] == 0
    assert aggregate(RECORDS)['worst_site/lesion_images'] == 1


def test_of_equally_bad_sites_the_worst_is_the_first_by_name():
    assert worst_site([lesion('z', 1, 1, 1), lesion('y', 1, 1, 1)]) == 'y'


def test_without_any_lesion_every_foreground_metric_is_undefined():
    metrics = aggregate([lesion_free('a', 0), lesion_free('b', 5)])
    for name in ('mDice_fg', 'site_mean/mDice_fg', 'worst_site/mDice_fg', 'mHD95'):
        assert metrics[name] is None
    assert metrics['false_positive_rate'] == 0.5
    assert worst_site([lesion_free('a', 0)]) is None


def test_without_records_every_score_is_undefined():
    metrics = aggregate([])
    assert metrics['mDice_fg'] is None
    assert metrics['false_positive_rate'] is None
    assert metrics['images'] == 0


def test_an_image_with_two_lesion_types_counts_in_both():
    metrics = aggregate(RECORDS)
    assert metrics['lesion/polyp/mDice_fg'] == pytest.approx(0.75)
    assert metrics['lesion/cyst/mDice_fg'] == pytest.approx(0.25)
    assert metrics['lesion/cyst/lesion_images'] == 2
    assert 'lesion/cyst/false_positive_rate' not in metrics


def test_a_mean_is_undefined_when_one_image_lacks_the_score():
    records = [lesion('a', 1, 0, 0), lesion('a', 1, 0, 0, dice_mean256=None)]
    assert summarise(records)['mDice_fg_mean256'] is None
    assert summarise(records)['mDice_fg'] == 1


def test_an_image_without_labelled_pixels_changes_no_score():
    unlabelled = lesion_free('a', 0) | dict(
        accuracy=None, false_positive=None, false_area=None, tn=0, pixels=0
    )
    with_it, without = summarise([*RECORDS, unlabelled]), summarise(RECORDS)
    assert with_it.pop('images') == without.pop('images') + 1
    assert with_it == without


def test_the_order_of_the_records_does_not_change_a_single_bit():
    generator = random.Random(0)
    records = [
        lesion(site, generator.randint(1, 999), generator.randint(0, 999), 7)
        for site in 'abc'
        for _ in range(50)
    ] + [lesion_free('b', generator.randint(0, 99)) for _ in range(20)]
    expected = aggregate(records)
    for _ in range(5):
        generator.shuffle(records)
        assert aggregate(records) == expected


def one_class(tp, fp, fn, tn):
    exists = tp + fn > 0
    return dict(
        dice=2 * tp / (2 * tp + fp + fn) if exists else None,
        iou=tp / (tp + fp + fn) if exists else None,
        precision=tp / max(tp + fp, 1) if exists else None,
        recall=tp / (tp + fn) if exists else None,
        **dict(tp=tp, fp=fp, fn=fn, tn=tn),
    )


def test_each_class_is_scored_and_averaged_without_the_background():
    records = [
        lesion(
            'a',
            1,
            0,
            0,
            classes=dict(polyp=one_class(2, 1, 1, 6), cyst=one_class(0, 1, 0, 9)),
        ),
        lesion(
            'a',
            1,
            0,
            0,
            classes=dict(polyp=one_class(4, 0, 0, 6), cyst=one_class(1, 0, 1, 8)),
        ),
        lesion_free('a', 0)
        | dict(classes=dict(polyp=one_class(0, 0, 0, 10), cyst=one_class(0, 0, 0, 10))),
    ]
    metrics = aggregate(records)
    assert metrics['class/polyp/mDice'] == pytest.approx((2 / 3 + 1) / 2)
    assert metrics['class/polyp/pooled_Dice'] == pytest.approx(12 / 14)
    assert metrics['class/polyp/false_positive_rate'] == 0
    assert metrics['class/polyp/images'] == 2
    assert metrics['class/cyst/mDice'] == pytest.approx(2 / 3)
    assert metrics['class/cyst/false_positive_rate'] == 0.5
    assert metrics['class/cyst/images'] == 1
    assert metrics['class_mean/mDice'] == pytest.approx((5 / 6 + 2 / 3) / 2)
    assert not any('background' in key for key in metrics)


def test_binary_records_have_no_class_metrics():
    assert not any(key.startswith('class') for key in aggregate(RECORDS))
