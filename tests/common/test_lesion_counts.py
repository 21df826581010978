import pytest

from mcdrl_common.lesion_counts import is_counts, recall
from mcdrl_common.site_scores import aggregate, summarise


def counted(small=(0, 0, 0), large=(0, 0, 0), predicted=0, false=0, false_iou50=0):
    return dict(
        small=list(small),
        medium=[0, 0, 0],
        large=list(large),
        predicted=predicted,
        false=false,
        false_iou50=false_iou50,
    )


def record(site='a', types=('polyp',), **counts):
    """A record of an image of 100 pixels; the mask scores do not matter here."""
    undefined = dict.fromkeys(['hd95', 'nsd', 'dice_mean256', 'iou_mean256'])
    return undefined | dict(
        site=site,
        image='i',
        lesion_classes=list(types),
        has_lesion=bool(types),
        **dict.fromkeys(['dice', 'iou', 'accuracy', 'precision', 'recall'], 0.5),
        **dict(false_positive=None if types else True),
        **dict(false_area=None if types else 0.1),
        **dict(tp=1, fp=1, fn=1, tn=97, pixels=100),
        lesions=counted(**counts),
    )


def test_recall_counts_lesions_and_not_images():
    images = [counted(small=(3, 1, 0)), counted(large=(1, 1, 1)), counted()]
    assert recall(images, 'lesion_recall') == 2 / 4
    assert recall(images, 'lesion_recall_iou50') == 1 / 4
    assert recall(images, 'lesion_recall_small') == 1 / 3
    assert recall(images, 'lesion_recall_large') == 1.0
    assert recall(images, 'lesion_recall_medium') is None
    assert recall([], 'lesion_recall') is None


def test_the_summary_has_recalls_and_false_lesions_per_image():
    images = [
        record(small=(2, 1, 1), predicted=2, false=1, false_iou50=1),
        record(types=(), predicted=3, false=3, false_iou50=3),
    ]
    metrics = summarise(images)
    assert metrics['pooled_lesion_recall'] == 0.5
    assert metrics['pooled_lesion_recall_small'] == 0.5
    assert metrics['pooled_lesion_recall_large'] is None
    assert metrics['mFalse_lesions'] == 2.0
    assert metrics['mFalse_lesions_iou50'] == 2.0


def test_recall_is_also_computed_by_site_and_by_lesion_type():
    metrics = aggregate(
        [
            record('a', ('polyp',), small=(2, 2, 2)),
            record('b', ('cyst',), small=(1, 0, 0)),
        ]
    )
    assert metrics['site/a/pooled_lesion_recall'] == 1.0
    assert metrics['lesion/cyst/pooled_lesion_recall'] == 0.0
    assert metrics['site_mean/pooled_lesion_recall'] == 0.5
    assert metrics['pooled_lesion_recall'] == pytest.approx(2 / 3)


def test_older_records_without_lesion_counts_leave_the_recall_undefined():
    old = record(small=(1, 1, 1))
    del old['lesions']
    metrics = summarise([record(small=(1, 1, 1)), old])
    assert metrics['pooled_lesion_recall'] is None
    assert metrics['mFalse_lesions'] is None


@pytest.mark.parametrize(
    'damage',
    [
        dict(small=[1, 2]),
        dict(small=[1, -1, 0]),
        dict(small=[1, 2, 0]),
        dict(large=[10**12, 0, 0]),
        dict(false=None),
    ],
)
def test_damaged_lesion_counts_are_rejected(damage):
    assert is_counts(counted())
    assert not is_counts(counted() | damage)
    assert not is_counts(3)
