import math

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.image_metrics import lower_is_better
from mcdrl_lab.results.scores import image_scores, run_scores


def test_the_score_of_a_run_is_the_mean_over_its_images_with_a_lesion(make_record):
    records = [make_record('a', 's1', 0, dice=[0.5, 0.7, None], metrics={'dice': 1.0})]
    scores = run_scores(records, 'dice')
    assert scores['score'].tolist() == [pytest.approx(60.0)]


def test_accuracy_leaves_lesion_free_images_out_as_the_metric_does(
    make_record, make_image
):
    free = {**make_image('i1', None), 'accuracy': 0.1}
    record = make_record(images=[make_image('i0', 0.5), free])
    assert run_scores([record], 'accuracy')['score'].tolist() == [pytest.approx(90.0)]


def test_false_positives_are_a_rate_over_lesion_free_images(make_record, make_image):
    quiet = {**make_image('i2', None), 'false_positive': False}
    images = [make_image('i0', 0.5), make_image('i1', None), quiet]
    scores = run_scores([make_record(images=images)], 'false_positive')
    assert scores['score'].tolist() == [50.0]


def test_dice_over_all_images_is_computed_from_every_record(make_record, make_image):
    quiet = {**make_image('i2', None), 'false_positive': False}
    unlabelled = {**make_image('i3', None), 'false_positive': None}
    images = [make_image('i0', 0.5), make_image('i1', None), quiet, unlabelled]
    # The record does not hold it: 0.5, 0 and 1 by hand.
    assert not any('dice_all' in image for image in images)
    scores = image_scores([make_record(images=images)], 'dice_all')
    assert dict(zip(scores['image'], scores['score'])) == {'i0': 50, 'i1': 0, 'i2': 100}
    run = run_scores([make_record(images=images)], 'dice_all')
    assert run['score'].tolist() == [pytest.approx(50.0)]
    assert not lower_is_better('dice_all')


def test_distances_stay_in_pixels(make_record):
    assert image_scores([make_record(dice=[0.5])], 'hd95')['score'].tolist() == [10.0]


def test_a_metric_without_defined_images_is_nan(make_record):
    assert math.isnan(run_scores([make_record(dice=[None])], 'dice')['score'][0])
    assert math.isnan(run_scores([make_record(dice=[0.5])], 'nsd')['score'][0])


def test_failed_runs_have_no_score(make_record):
    records = [make_record(dice=[0.5], status='failed')]
    assert run_scores(records, 'dice').empty
    assert image_scores(records, 'dice').empty


@pytest.mark.parametrize(
    ('name', 'printed'),
    [
        ('pooled_Dice_fg', 25.0),
        ('lesion/polyp/mDice_fg', 25.0),
        ('lesion/polyp/mHD95', 0.25),
        ('site/x/lesion_images', 0.25),
    ],
)
def test_summary_fractions_become_per_cent_and_other_values_are_unchanged(
    make_record, name, printed
):
    scores = run_scores([make_record(metrics={name: 0.25})], name)
    assert scores['score'].tolist() == [printed]


def test_lower_is_better_for_distances_and_false_positives_only():
    assert all(map(lower_is_better, ['hd95', 'lesion/polyp/mHD95', 'false_positive']))
    assert not any(map(lower_is_better, ['dice', 'nsd', 'site/x/mDice_fg']))


def test_an_unknown_metric_is_refused_with_the_known_ones(make_record):
    records = [make_record(metrics={'mIoU_fg': 0.2})]
    with pytest.raises(ProtocolError, match=r"'mDice'.*dice.*mIoU_fg"):
        run_scores(records, 'mDice')
    with pytest.raises(ProtocolError, match='not recorded per image'):
        image_scores(records, 'mIoU_fg')
